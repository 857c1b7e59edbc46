import type { EntityManager } from '@mikro-orm/postgresql';
import { PRICE, unbilledUntil } from './meter-sql.ts';
import { undebitedTokens } from './token-sql.ts';
import { query, run, sql } from '../sql.ts';

/** Holds these accounts until the transaction ends, in the order of their ids. */
export async function lockAccounts(em: EntityManager, accountIds: readonly string[]): Promise<void> {
  if (accountIds.length === 0) return;
  await query(em, sql`select from accounts where id = any(${[...accountIds]}) order by id for no key update`);
}

/** A hundred years: longer than any balance lasts, and keeps the sum within the range of a timestamp. */
const FOREVER_MS = '3155760000000';

/**
 * Writes down when the money of these accounts may be used up, and when they are to be warned next. It is the earliest
 * possible moment: an open interval counts as running even while its gateway does not answer, because it may turn out
 * to have run. A caller that acts on it must compute the balance again first. `now` null: the database's own time. Locks
 * the accounts, in the order of their ids.
 */
export async function reckonExhaustion(em: EntityManager, accountIds: readonly string[], now: Date | null): Promise<void> {
  if (accountIds.length === 0) return;
  await lockAccounts(em, accountIds);
  // A second statement, whose snapshot includes what other transactions committed while the first one waited for its lock.
  await reckonLocked(em, accountIds, now);
}

/** The same for accounts that the transaction has locked before. */
export async function reckonLocked(em: EntityManager, accountIds: readonly string[], now: Date | null): Promise<void> {
  const ids = [...accountIds];
  await run(
    em,
    sql`with clock as materialized (select coalesce(${now}::timestamptz, now()) as now), ${PRICE}, chosen as (
       select accounts.id, balance_nano_usd, low_told_hours from accounts where accounts.id = any(${ids})
     ), running as materialized (
       select i.account_id, count(*) filter (where i.ended_at is null) as open,
              sum(${unbilledUntil(sql`coalesce(i.ended_at, clock.now)`)}) as accrued
         from clock cross join runtime_intervals i where i.account_id = any(${ids}) and not i.settled
        group by i.account_id
     ), current as materialized (
       select coalesce((select nano_usd_per_hour from prices, clock where starts_at <= now order by starts_at desc limit 1), 0)::numeric as price
     ), left_over as materialized (
       select chosen.id, low_told_hours as told,
              case when coalesce(open, 0) = 0 or price = 0 then null
                   else least(${FOREVER_MS}::numeric, greatest(0, floor((balance_nano_usd - accrued - ${undebitedTokens(sql`chosen.id`)}) * 3600000 / (open * price)))) end as ms
         from current cross join chosen left join running on running.account_id = chosen.id
     ), warned as materialized (
       select id, ms, case when ms > 72 * 3600000::numeric then null
                           when ms > 24 * 3600000::numeric and told < 72 then 72
                           when ms > 3600000 and told < 24 then 24
                           else told end as told
         from left_over
     ), moments as materialized (
       select warned.id, told, date_trunc('milliseconds', clock.now + ms * interval '1 millisecond') as ends,
              case when told is null then interval '72 hours' when told = 72 then interval '24 hours'
                   when told = 24 then interval '1 hour' end as ahead
         from warned cross join clock
     )
     update accounts set exhausts_at = ends, low_told_hours = told, notice_at = ends - ahead
       from moments where accounts.id = moments.id
        and (exhausts_at, low_told_hours, notice_at) is distinct from (ends, told, ends - ahead)`,
  );
}
