import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** The accounts whose oldest event was recorded before this moment. */
export async function findAccountsWithOldEvents(em: EntityManager, before: Date): Promise<string[]> {
  const rows = await query<{ accountId: string }>(
    em,
    sql`select counter.account_id as "accountId" from event_counters counter
       cross join lateral (select recorded_at from events where account_id = counter.account_id order by seq limit 1) oldest
      where oldest.recorded_at < ${before}`,
  );
  return rows.map(({ accountId }) => accountId);
}

/**
 * Removes one batch of an account's oldest events: what was recorded before this moment and follows on nothing that is
 * kept, so that what is left has no gap. Says how many.
 */
export async function removeOldEvents(
  em: EntityManager,
  { accountId, before, limit }: { accountId: string; before: Date; limit: number },
): Promise<number> {
  return run(
    em,
    sql`delete from events using (
       select id, bool_and(recorded_at < ${before}) over (order by seq) as is_old
         from (select id, seq, recorded_at from events where account_id = ${accountId} order by seq limit ${limit}) as oldest
     ) as candidate
      where events.id = candidate.id and candidate.is_old`,
  );
}

/** Removes one batch of deliveries that have ended and were made before this moment, with their attempts. */
export async function removeOldDeliveries(
  em: EntityManager,
  { before, limit }: { before: Date; limit: number },
): Promise<number> {
  return run(
    em,
    sql`delete from webhook_deliveries where id in (
       select delivery.id from webhooks webhook
         cross join lateral (select id from webhook_deliveries
                              where webhook_id = webhook.id and created_at < ${before} and status <> 'pending'
                              order by created_at, id limit ${limit}) delivery
        limit ${limit})`,
  );
}

/** Removes one batch of what waits for or was sent by deleted webhooks, and those webhooks that have nothing left. */
export async function removeDeletedWebhooks(em: EntityManager, { limit }: { limit: number }): Promise<number> {
  const count = await run(
    em,
    sql`delete from webhook_deliveries where id in (
       select webhook_deliveries.id from webhook_deliveries join webhooks on webhooks.id = webhook_id
        where deleted_at is not null limit ${limit})`,
  );
  if (count === 0)
    await run(
      em,
      sql`delete from webhooks where deleted_at < now() - interval '1 hour'
          and not exists (select from webhook_deliveries where webhook_id = webhooks.id)`,
    );
  return count;
}
