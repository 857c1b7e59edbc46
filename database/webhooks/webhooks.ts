import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { Webhook } from '../entities/webhook.ts';
import { makeDue } from './record-attempts.ts';
import { wakeWebhook } from './wake-webhooks.ts';
import { query, run, sql } from '../sql.ts';

interface OwnedWebhook {
  accountId: string;
  webhookId: string;
}

/** The account's webhook as it is now; null when it has none such. */
export async function findOwnedWebhook(em: EntityManager, { accountId, webhookId }: OwnedWebhook): Promise<Webhook | null> {
  return em.findOne(Webhook, { id: webhookId, account: accountId, deletedAt: null }, { refresh: true });
}

/**
 * How many webhooks the account has. Locks the account's row, so that of two transactions that count in order to add
 * one, the second counts the first one's. Creates the account's event counter where it is missing, because releaseDrain locks it.
 */
export async function countWebhooksLocked(em: EntityManager, accountId: string): Promise<number> {
  await lockAccount(em, accountId);
  await run(em, sql`insert into event_counters (account_id) values (${accountId}) on conflict do nothing`);
  return em.count(Webhook, { account: accountId, deletedAt: null });
}

/** Enables a webhook with a clean record: its failures are forgotten, and everything that waits is due. In the caller's transaction. */
export async function enableWebhook(em: EntityManager, webhookId: string): Promise<void> {
  await run(
    em,
    sql`update webhooks set enabled = true, disabled_reason = null, failures = 0, failing_since = null, not_before = null where id = ${webhookId}`,
  );
  await makeDue(em, webhookId);
  await wakeWebhook(em, webhookId);
}

/** Deletes a webhook: it is not found from now on, and its secrets are removed. A sweep removes its deliveries and its row. */
export async function deleteWebhook(em: EntityManager, { accountId, webhookId }: OwnedWebhook): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update webhooks set deleted_at = now(), enabled = false, secret = '', previous_secret = null
      where id = ${webhookId} and account_id = ${accountId} and deleted_at is null returning id`,
  );
  return rows.length > 0;
}

export interface NewDelivery {
  id: string;
  webhookId: string;
  eventId: string;
  eventType: string;
  body: string;
  isTest: boolean;
  now: Date;
}

/** Queues a delivery outside of recordEvent: a test, or a redelivery. In the caller's transaction. */
export async function queueDelivery(em: EntityManager, delivery: NewDelivery): Promise<void> {
  const { id, webhookId, eventId, eventType, body, isTest, now } = delivery;
  await run(
    em,
    sql`insert into webhook_deliveries (id, webhook_id, event_id, event_type, body, is_test, created_at, next_attempt_at)
     values (${id}, ${webhookId}, ${eventId}, ${eventType}, ${body}, ${isTest}, ${now}, now())`,
  );
  await wakeWebhook(em, webhookId);
}
