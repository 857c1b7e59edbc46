import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { Webhook } from '../entities/webhook.ts';
import { makeDue } from './record-attempts.ts';
import { wakeWebhook } from './wake-webhooks.ts';
import { db } from '../db.ts';
import { NOW } from '../sql.ts';

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
  await db(em)
    .insertInto('EventCounter')
    .values({ account: accountId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return em.count(Webhook, { account: accountId, deletedAt: null });
}

/** Enables a webhook with a clean record: its failures are forgotten, and everything that waits is due. In the caller's transaction. */
export async function enableWebhook(em: EntityManager, webhookId: string): Promise<void> {
  await db(em)
    .updateTable('Webhook')
    .set({ enabled: true, disabledReason: null, failures: 0, failingSince: null, notBefore: null })
    .where('id', '=', webhookId)
    .execute();
  await makeDue(em, webhookId);
  await wakeWebhook(em, webhookId);
}

/** Deletes a webhook: it is not found from now on, and its secrets are removed. A sweep removes its deliveries and its row. */
export async function deleteWebhook(em: EntityManager, { accountId, webhookId }: OwnedWebhook): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('Webhook')
    .set({ deletedAt: NOW, enabled: false, secret: '', previousSecret: null })
    .where('id', '=', webhookId)
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0;
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
  await db(em)
    .insertInto('WebhookDelivery')
    .values({ id, webhook: webhookId, eventId, eventType, body, isTest, createdAt: now, nextAttemptAt: NOW })
    .execute();
  await wakeWebhook(em, webhookId);
}
