import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { EventCounter } from '../entities/event-counter.ts';
import { Event } from '../entities/event.ts';
import { WebhookDelivery } from '../entities/webhook-delivery.ts';
import { Webhook } from '../entities/webhook.ts';
import { fetchRows } from '../rows.ts';
import { run, sql } from '../sql.ts';

/** The accounts whose oldest event was recorded before this moment. */
export async function findAccountsWithOldEvents(em: EntityManager, before: Date): Promise<string[]> {
  const counter = columns(EventCounter, 'counter');
  const { recordedAt, account, seq } = columns(Event);
  const accounts = await fetchRows(
    em,
    { accountId: counter.account },
    (fields) => sql`
      select ${fields} from event_counters counter
       cross join lateral (select ${recordedAt} from events where ${account} = ${counter.account} order by ${seq} limit 1) oldest
       where oldest.${recordedAt} < ${before}`,
  );
  return accounts.map(({ accountId }) => accountId);
}

/**
 * Removes one batch of an account's oldest events: what was recorded before this moment and follows on nothing that is
 * kept, so that what is left has no gap. Says how many.
 */
export async function removeOldEvents(
  em: EntityManager,
  { accountId, before, limit }: { accountId: string; before: Date; limit: number },
): Promise<number> {
  const { id, seq, recordedAt, account } = columns(Event);
  return run(
    em,
    sql`delete from events using (
          select ${id}, bool_and(${recordedAt} < ${before}) over (order by ${seq}) as is_old
            from (select ${id}, ${seq}, ${recordedAt} from events where ${account} = ${accountId} order by ${seq} limit ${limit}) as oldest
        ) as candidate
        where events.${id} = candidate.${id} and candidate.is_old`,
  );
}

/** Removes one batch of deliveries that have ended and were made before this moment, with their attempts. */
export async function removeOldDeliveries(
  em: EntityManager,
  { before, limit }: { before: Date; limit: number },
): Promise<number> {
  const webhook = columns(Webhook, 'webhook');
  const { id, createdAt, status, webhook: ofWebhook } = columns(WebhookDelivery);
  return run(
    em,
    sql`delete from webhook_deliveries where ${id} in (
          select delivery.${id} from webhooks webhook
           cross join lateral (select ${id} from webhook_deliveries
                                where ${ofWebhook} = ${webhook.id} and ${createdAt} < ${before} and ${status} <> 'pending'
                                order by ${createdAt}, ${id} limit ${limit}) delivery
           limit ${limit})`,
  );
}

/** Removes one batch of what waits for or was sent by deleted webhooks, and those webhooks that have nothing left. */
export async function removeDeletedWebhooks(em: EntityManager, { limit }: { limit: number }): Promise<number> {
  const delivery = columns(WebhookDelivery, 'webhook_deliveries');
  const webhook = columns(Webhook, 'webhooks');
  const count = await run(
    em,
    sql`delete from webhook_deliveries where ${columns(WebhookDelivery).id} in (
          select ${delivery.id} from webhook_deliveries join webhooks on ${webhook.id} = ${delivery.webhook}
           where ${webhook.deletedAt} is not null limit ${limit})`,
  );
  if (count === 0)
    await run(
      em,
      sql`delete from webhooks where ${webhook.deletedAt} < now() - interval '1 hour'
             and not exists (select from webhook_deliveries where ${delivery.webhook} = ${webhook.id})`,
    );
  return count;
}
