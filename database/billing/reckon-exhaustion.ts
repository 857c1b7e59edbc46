import type { EntityManager } from '@mikro-orm/postgresql';
import { PRICE, unbilledUntil } from './meter-sql.ts';
import { undebitedTokens } from './token-sql.ts';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Price } from '../entities/price.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { anyOf, run, sql } from '../sql.ts';

/** Holds these accounts until the transaction ends, in the order of their ids. */
export async function lockAccounts(em: EntityManager, accountIds: readonly string[]): Promise<void> {
  if (accountIds.length === 0) return;
  await db(em).selectFrom('Account').select('id').where('id', '=', anyOf(accountIds)).orderBy('id').forNoKeyUpdate().execute();
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
  const price = columns(Price);
  const i = columns(RuntimeInterval, 'i');
  const account = columns(Account, 'accounts');
  const { id, balanceNanoUsd, lowToldHours, exhaustsAt, noticeAt } = columns(Account);
  await run(
    em,
    sql`with clock as materialized (select coalesce(${now}::timestamptz, now()) as now), ${PRICE}, chosen as (
          select ${id}, ${balanceNanoUsd}, ${lowToldHours} from accounts where ${id} = any(${ids})
        ), running as materialized (
          select ${i.account}, count(*) filter (where ${i.endedAt} is null) as open,
                 sum(${unbilledUntil(sql`coalesce(${i.endedAt}, clock.now)`)}) as accrued
            from clock cross join runtime_intervals i where ${i.account} = any(${ids}) and not ${i.settled}
           group by ${i.account}
        ), current as materialized (
          select coalesce((select ${price.nanoUsdPerHour} from prices, clock where ${price.startsAt} <= now
                            order by ${price.startsAt} desc limit 1), 0)::numeric as price
        ), left_over as materialized (
          select chosen.id, ${lowToldHours} as told,
                 case when coalesce(open, 0) = 0 or price = 0 then null
                      else least(${FOREVER_MS}::numeric, greatest(0, floor(
                             (${balanceNanoUsd} - accrued - ${undebitedTokens(sql`chosen.id`)}) * 3600000 / (open * price)))) end as ms
            from current cross join chosen left join running on running.${columns(RuntimeInterval).account} = chosen.id
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
        update accounts set ${exhaustsAt} = ends, ${lowToldHours} = told, ${noticeAt} = ends - ahead
          from moments where ${account.id} = moments.id
           and (${exhaustsAt}, ${lowToldHours}, ${noticeAt}) is distinct from (ends, told, ends - ahead)`,
  );
}
