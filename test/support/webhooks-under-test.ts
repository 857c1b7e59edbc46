import { randomBytes } from 'node:crypto';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import { createOrm } from '../../database/orm.ts';
import { recordEvent } from '../../database/events/record-event.ts';
import type { NewEvent } from '../../database/events/record-event.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { webhookPlace } from '../../database/webhook-place.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { webhookWorkflowId } from '../../domain/temporal/workflow-ids.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { makeSigningSecret } from '../../lib/crypto/signing-secret.ts';
import type { DeliveringOptions } from './delivering.ts';
import { newAccount } from '../factories.ts';
import { asRole, createTestDatabase } from './test-database.ts';
import { createTestNamespace } from './test-temporal.ts';

export interface DeliveryRow {
  id: string;
  status: string;
  attempts: number;
  tries: number;
  isDue: boolean;
}

export interface WebhookRow {
  enabled: boolean;
  disabledReason: string | null;
  failures: number;
  isResting: boolean;
}

/** Webhooks on a database and a Temporal of their own. Who delivers is for the test to start. */
export interface WebhooksUnderTest {
  orm: MikroORM;
  client: Client;
  options: DeliveringOptions;
  makeId: ReturnType<typeof createIdMaker>;
  newAccount(): Promise<string>;
  /** For all agent events of the account. */
  newWebhook(accountId: string, url: string, events?: string[]): Promise<{ webhookId: string; secret: string }>;
  /** Commits an event of the account. */
  record(accountId: string, event?: Partial<NewEvent>): Promise<{ eventId: string; seq: number }>;
  deliveriesOf(webhookId: string): Promise<DeliveryRow[]>;
  webhook(webhookId: string): Promise<WebhookRow>;
  sql<T extends object>(statement: string, values?: unknown[]): Promise<T[]>;
  /** How many runs of its workflow there were, how many of them are open, and how long the longest history is. */
  runsOf(webhookId: string): Promise<{ runs: number; open: number; longest: number }>;
  close(): Promise<void>;
}

export async function startWebhooks(): Promise<WebhooksUnderTest> {
  const [database, temporal] = await Promise.all([createTestDatabase(), createTestNamespace()]);
  const orm = await createOrm(database.url);
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace: temporal.namespace });
  const masterKey = randomBytes(32);
  const encryption = createEncryption({ masterKeys: [{ id: 'test', key: masterKey }], randomBytes });
  const makeId = createIdMaker(randomBytes);
  const sql = <T extends object>(statement: string, values: unknown[] = []): Promise<T[]> =>
    orm.em.fork().execute<T[]>(statement, values);
  return {
    orm,
    client,
    options: { databaseUrl: asRole(database.url, 'worker'), temporal, masterKey },
    makeId,
    sql,
    async newAccount() {
      const { accountId } = await newAccount(orm);
      await sql('insert into event_counters (account_id) values (?)', [accountId]);
      return accountId;
    },
    async newWebhook(accountId, url, events = ['*']) {
      const webhookId = makeId('wh');
      const secret = makeSigningSecret(randomBytes);
      await sql(
        `insert into webhooks (id, account_id, url, events, secret, secret_last4, created_at)
         values (?, ?, ?, (select array_agg(entry) from jsonb_array_elements_text(?::jsonb) as entry), ?, ?, now())`,
        [
          webhookId,
          accountId,
          url,
          JSON.stringify(events),
          encryption.encrypt(secret, webhookPlace(webhookId)),
          secret.slice(-4),
        ],
      );
      return { webhookId, secret };
    },
    async record(accountId, event = {}) {
      const eventId = makeId('evt');
      const seq = await runTransaction(orm.em, (em) =>
        recordEvent(em, {
          ...{ id: eventId, accountId, instanceId: null, type: 'agent.message', agentSlug: 'my-agent', agentName: 'My Agent' },
          ...{ source: 'agent', messageId: makeId('msg'), content: 'hello', jobName: null, error: null },
          ...{ createdAt: new Date(), occurrenceKey: eventId },
          ...event,
        }),
      );
      return { eventId, seq: seq ?? 0 };
    },
    deliveriesOf: (webhookId) =>
      sql(
        `select id, status, attempts, tries, coalesce(next_attempt_at <= now(), false) as "isDue"
           from webhook_deliveries where webhook_id = ? order by created_at, id`,
        [webhookId],
      ),
    async webhook(webhookId) {
      const [row] = await sql<WebhookRow>(
        `select enabled, disabled_reason as "disabledReason", failures, coalesce(not_before > now(), false) as "isResting"
           from webhooks where id = ?`,
        [webhookId],
      );
      if (!row) throw new Error('there is no such webhook');
      return row;
    },
    async runsOf(webhookId) {
      const found = client.workflow.list({ query: `WorkflowId = '${webhookWorkflowId(webhookId)}'` });
      const runs = { runs: 0, open: 0, longest: 0 };
      for await (const { runId, status } of found) {
        runs.runs += 1;
        if (status.name === 'RUNNING') runs.open += 1;
        const { historyLength } = await client.workflow.getHandle(webhookWorkflowId(webhookId), runId).describe();
        runs.longest = Math.max(runs.longest, historyLength);
      }
      return runs;
    },
    async close() {
      await connection.close();
      await orm.close();
      await database.drop();
    },
  };
}
