import type { EntityManager } from '@mikro-orm/postgresql';
import { FAILURES_UNTIL_PROBING } from '../../domain/webhooks/webhook-health.ts';
import { columns, db } from '../db.ts';
import { WebhookDelivery } from '../entities/webhook-delivery.ts';
import { Webhook } from '../entities/webhook.ts';
import { fetchRow } from '../rows.ts';
import { fromNow, sql } from '../sql.ts';

/** How long a handed-over wake-up waits, so that the run that hands it over has ended by then. */
const HAND_OVER_MS = 1_000;

/** Notes that this run delivers for the webhook, so that new events wake no run for as long as this (database clock). */
export async function holdDrain(em: EntityManager, webhookId: string, forMs: number): Promise<void> {
  await db(em)
    .updateTable('Webhook')
    .set({ drainedUntil: fromNow(forMs) })
    .where('id', '=', webhookId)
    .where('deletedAt', 'is', null)
    .execute();
}

/**
 * Notes that this run has stopped delivering. Returns once every event is visible whose writer may still have seen the run as
 * active and woken no other: such writers hold the account's counter, which this waits for. So a look in a later statement
 * misses nothing.
 */
export async function releaseDrain(em: EntityManager, webhookId: string): Promise<void> {
  const row = await db(em)
    .updateTable('Webhook')
    .set({ drainedUntil: null })
    .where('id', '=', webhookId)
    .returning('account')
    .executeTakeFirst();
  if (row) await db(em).selectFrom('EventCounter').select('lastSeq').where('account', '=', row.account).forUpdate().execute();
}

/**
 * Stops delivering while something is still due, in the caller's transaction, and has a new run woken for it after a second.
 * Until then new events wake no run: they would wake the run that is ending here instead of a new one.
 */
export async function handOverDrain(em: EntityManager, webhookId: string): Promise<void> {
  const until = fromNow(HAND_OVER_MS);
  await db(em).updateTable('Webhook').set({ drainedUntil: until }).where('id', '=', webhookId).execute();
  const wake = { workflow: 'deliverWebhook', subjectId: webhookId, claimedUntil: until } as const;
  await db(em).insertInto('OutboxEntry').values(wake).execute();
}

/** What a webhook still has to deliver. */
export interface Waiting {
  accountId: string;
  /** Deliveries that have not ended. */
  waiting: number;
  failures: number;
  enabled: boolean;
  /** When the next one may be sent, from now; 0: at once; null: none may before something changes. */
  nextInMs: number | null;
}

const WEBHOOK = columns(Webhook, 'webhook');
const DELIVERY = columns(WebhookDelivery, 'delivery');

const FIELDS = {
  accountId: WEBHOOK.account,
  waiting: sql<number>`pending.count`,
  failures: WEBHOOK.failures,
  enabled: WEBHOOK.enabled,
  nextInMs: sql<number | null>`
    case when next.at is not null then greatest(0, ceil(extract(epoch from next.at - now()) * 1000))::float8 end`,
};

/** Null when there is no such webhook. */
export async function findWaiting(em: EntityManager, webhookId: string): Promise<Waiting | null> {
  return fetchRow(
    em,
    FIELDS,
    (fields) => sql`select ${fields}
       from webhooks webhook
       cross join lateral (
         select count(*)::float8 as count, min(${DELIVERY.nextAttemptAt}) filter (where ${DELIVERY.isTest}) as test,
                min(${DELIVERY.nextAttemptAt}) filter (where not ${DELIVERY.isTest}) as first
           from webhook_deliveries delivery where ${DELIVERY.webhook} = ${WEBHOOK.id} and ${DELIVERY.status} = 'pending'
       ) pending
       cross join lateral (
         select least(pending.test, case when ${WEBHOOK.enabled} and pending.first is not null
           then greatest(${WEBHOOK.notBefore},
                         case when ${WEBHOOK.failures} < ${FAILURES_UNTIL_PROBING} then pending.first else now() end) end) as at
       ) next
      where ${WEBHOOK.id} = ${webhookId} and ${WEBHOOK.deletedAt} is null`,
  );
}
