import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { createOrm } from '../../database/orm.ts';
import { recordEvent } from '../../database/events/record-event.ts';
import { enableWebhook } from '../../database/webhooks/webhooks.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { webhookPlace } from '../../database/webhook-place.ts';
import { createIdMaker } from '../../domain/ids.ts';
import { webhookWorkflowId } from '../../domain/temporal/workflow-ids.ts';
import { createEncryption } from '../../lib/crypto/encryption.ts';
import { makeSigningSecret } from '../../lib/crypto/signing-secret.ts';
import { eventually } from '../support/eventually.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { answering, hanging, startWebhookReceiver } from '../support/webhook-receiver.ts';
import type { WebhookReceiver } from '../support/webhook-receiver.ts';
import { median, percentile } from './table.ts';
import type { Row } from './table.ts';

interface Context {
  /** Its worker must be allowed to send to local endpoints (WEBHOOK_ALLOW_PRIVATE). */
  stack: Pick<StackUnderTest, 'databaseUrl' | 'masterKey' | 'temporal'>;
  say(sentence: string): void;
}

interface Endpoint {
  accountId: string;
  webhookId: string;
  path: string;
}

const ENDPOINTS = 10;
const EVENTS_PER_SECOND = 50;
const SECONDS = 20;
const QUIET = 15;
const WAITING = 20_000;
const DRAIN_MS = 120_000;
/** The SDK passes on one heartbeat per eight tenths of the ten seconds of its timeout. */
const HEARTBEAT_EVERY_MS = 8_000;
const { EventType } = proto.temporal.api.enums.v1;
const ACTIONS: readonly unknown[] = [
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
  EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
  EventType.EVENT_TYPE_TIMER_STARTED,
  EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
  EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
];
const BODY = JSON.stringify({ eventType: 'agent.message', data: { content: 'x'.repeat(300) } });
const makeId = createIdMaker(randomBytes);
const nowMs = (): number => performance.timeOrigin + performance.now();

/** From the commit of an event to its first attempt, and how fast a backlog goes out. */
export async function benchWebhooks({ stack, say }: Context): Promise<Row[]> {
  const orm = await createOrm(stack.databaseUrl);
  const receiver = await startWebhookReceiver();
  const connection = await Connection.connect({ address: stack.temporal.address });
  const client = new Client({ connection, namespace: stack.temporal.namespace });
  const bench = new WebhookBench(orm, receiver, client, stack.masterKey);
  try {
    say(`  first events of ${QUIET} quiet endpoints`);
    const quiet = await bench.quiet();
    say(`  ${EVENTS_PER_SECOND} events/s over ${ENDPOINTS} endpoints`);
    const steady = await bench.steady(0);
    say('  the same with two dead endpoints among them');
    const disturbed = await bench.steady(2);
    say(`  ${WAITING} waiting deliveries`);
    const [one, twenty] = [await bench.drain(1), await bench.drain(20)];
    return [
      latency('first event of a quiet endpoint', quiet, `p50 <= 250`, median(quiet) <= 250),
      latency('commit to first attempt, 50/s over 10', steady.values, 'p50 <= 50, p99 <= 500', meets(steady.values)),
      latency(
        'the same, 2 of 10 dead: the healthy ones',
        disturbed.values,
        `p99 <= 500 (without them ${percentile(steady.values, 0.99).toFixed(0)})`,
        percentile(disturbed.values, 0.99) <= 500,
      ),
      {
        what: 'Temporal actions per 100 deliveries of a busy endpoint',
        values: steady.actions,
        unit: 'actions',
        goal: `<= 15 at ${EVENTS_PER_SECOND / ENDPOINTS} deliveries/s`,
        reached: steady.actions.every((actions) => actions <= 15),
      },
      ...[one, twenty].map(({ endpoints, rate }) => ({
        what: `${WAITING} waiting, ${endpoints} endpoint(s)`,
        values: [rate],
        unit: 'requests/s' as const,
        goal: '>= 1,000',
        reached: rate >= 1_000,
      })),
    ];
  } finally {
    await connection.close();
    await receiver.close();
    await orm.close();
  }
}

const meets = (values: readonly number[]): boolean => median(values) <= 50 && percentile(values, 0.99) <= 500;
const latency = (what: string, values: readonly number[], goal: string, reached: boolean): Row => ({
  what,
  values,
  unit: 'ms',
  goal,
  reached,
});

class WebhookBench {
  readonly #orm: MikroORM;
  readonly #receiver: WebhookReceiver;
  readonly #client: Client;
  readonly #encryption: ReturnType<typeof createEncryption>;

  constructor(orm: MikroORM, receiver: WebhookReceiver, client: Client, masterKey: { id: string; key: Buffer }) {
    this.#orm = orm;
    this.#receiver = receiver;
    this.#client = client;
    this.#encryption = createEncryption({ masterKeys: [masterKey], randomBytes });
  }

  async quiet(): Promise<number[]> {
    const commits = new Map<string, number>();
    for (let index = 0; index < QUIET; index += 1) {
      const [id, at] = await this.#record(await this.#endpoint());
      commits.set(id, at);
      await eventually(() => this.#latencies(commits), 20_000);
    }
    return this.#latencies(commits);
  }

  async steady(dead: number): Promise<{ values: number[]; actions: number[] }> {
    const endpoints = await Promise.all(Array.from({ length: ENDPOINTS }, () => this.#endpoint()));
    for (const [index, { path }] of endpoints.slice(0, dead).entries())
      this.#receiver.behave(path, index % 2 === 0 ? hanging : answering(500));
    const healthy = endpoints.slice(dead);
    // The first event of a quiet endpoint is measured by itself.
    const first = new Map(await Promise.all(healthy.map((endpoint) => this.#record(endpoint))));
    await eventually(() => this.#latencies(first), 30_000);
    const commits = new Map<string, number>();
    const recording: Promise<void>[] = [];
    const startedAt = performance.now();
    for (let event = 0; event < EVENTS_PER_SECOND * SECONDS; event += 1) {
      const endpoint = endpoints[event % ENDPOINTS] ?? { accountId: '', webhookId: '', path: '' };
      recording.push(
        this.#record(endpoint).then(([id, at]) => {
          if (healthy.includes(endpoint)) commits.set(id, at);
        }),
      );
      await sleep(Math.max(0, startedAt + ((event + 1) * 1_000) / EVENTS_PER_SECOND - performance.now()));
    }
    await Promise.all(recording);
    const values = await eventually(() => this.#latencies(commits), 30_000);
    const each = (EVENTS_PER_SECOND * SECONDS) / ENDPOINTS;
    const actions = await Promise.all(healthy.map(({ webhookId }) => this.#actions(webhookId)));
    return { values, actions: actions.map((count) => (count * 100) / each) };
  }

  async drain(count: number): Promise<{ endpoints: number; rate: number }> {
    const endpoints = await Promise.all(Array.from({ length: count }, () => this.#endpoint()));
    const em = this.#orm.em.fork();
    for (const { webhookId } of endpoints) {
      await em.execute('update webhooks set enabled = false where id = ?', [webhookId], 'run');
      await em.execute(
        `insert into webhook_deliveries (id, webhook_id, event_id, event_type, body, created_at, next_attempt_at)
         select 'dlv_' || substr(md5(random()::text || n), 1, 20), ?, 'evt_' || substr(md5(random()::text || n), 1, 20), 'agent.message', ?, now(), now()
           from generate_series(1, ?) as n`,
        [webhookId, BODY, WAITING / count],
        'run',
      );
    }
    const before = this.#receiver.received.length;
    const startedAt = performance.now();
    await Promise.all(
      endpoints.map(({ webhookId }) => runTransaction(this.#orm.em, (transaction) => enableWebhook(transaction, webhookId))),
    );
    await eventually(() => {
      if (this.#receiver.received.length - before < WAITING)
        throw new Error(`${this.#receiver.received.length - before} of ${WAITING} came`);
    }, DRAIN_MS);
    return { endpoints: count, rate: WAITING / ((performance.now() - startedAt) / 1_000) };
  }

  /** Throws until every event has come. */
  #latencies(commits: ReadonlyMap<string, number>): number[] {
    const arrivals = new Map<string, number>();
    for (const { headers, atMs } of this.#receiver.received) {
      const id = String(headers['webhook-id']);
      if (commits.has(id) && !arrivals.has(id)) arrivals.set(id, atMs);
    }
    if (arrivals.size < commits.size) throw new Error(`${arrivals.size} of ${commits.size} events came`);
    return [...commits].map(([id, at]) => (arrivals.get(id) ?? Number.NaN) - at);
  }

  async #record({ accountId }: Endpoint): Promise<[eventId: string, committedAtMs: number]> {
    const id = makeId('evt');
    await runTransaction(this.#orm.em, (em) =>
      recordEvent(em, {
        ...{
          id,
          accountId,
          instanceId: null,
          type: 'agent.message',
          agentSlug: 'my-agent',
          agentName: 'My Agent',
          source: 'agent',
        },
        ...{
          messageId: makeId('msg'),
          content: 'x'.repeat(300),
          jobName: null,
          error: null,
          createdAt: new Date(),
          occurrenceKey: id,
        },
      }),
    );
    return [id, nowMs()];
  }

  async #endpoint(): Promise<Endpoint> {
    const [accountId, webhookId] = [makeId('acc'), makeId('wh')];
    const path = `/${webhookId}`;
    const secret = makeSigningSecret(randomBytes);
    const em = this.#orm.em.fork();
    const now = new Date();
    await em.execute(
      'insert into accounts (id, email, name, created_at) values (?, ?, ?, ?)',
      [accountId, accountId, 'Bench', now],
      'run',
    );
    await em.execute('insert into event_counters (account_id) values (?)', [accountId], 'run');
    await em.execute(
      `insert into webhooks (id, account_id, url, events, secret, secret_last4, created_at) values (?, ?, ?, array['*'], ?, ?, ?)`,
      [
        webhookId,
        accountId,
        `${this.#receiver.url}${path}`,
        this.#encryption.encrypt(secret, webhookPlace(webhookId)),
        secret.slice(-4),
        now,
      ],
      'run',
    );
    return { accountId, webhookId, path };
  }

  /** What Temporal counts: starts, signals, timers, activities and their heartbeats, changes of search attributes. */
  async #actions(webhookId: string): Promise<number> {
    const workflowId = webhookWorkflowId(webhookId);
    let actions = 0;
    for await (const { runId } of this.#client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
      const { events } = await this.#client.workflow.getHandle(workflowId, runId).fetchHistory();
      actions += (events ?? []).filter(({ eventType }) => ACTIONS.includes(eventType)).length;
    }
    return actions + (SECONDS * 1_000) / HEARTBEAT_EVERY_MS;
  }
}
