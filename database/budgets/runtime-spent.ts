import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/metering.ts';
import { reckonedUntil } from '../billing/meter-sql.ts';
import { listPrices } from '../billing/set-price.ts';
import { query, sql } from '../sql.ts';

interface Range {
  accountId: string;
  /** Null: all of the account. */
  instanceId: string | null;
  from: Date;
  /** The end of the range. What runs counts up to `now`. */
  to: Date;
  now: Date;
}

/** What running time costs in a range, up to the present, and what an hour costs with what runs now; in nano-dollars. */
export async function findRuntimeSpent(
  em: EntityManager,
  { accountId, instanceId, from, to, now }: Range,
): Promise<{ nanoUsd: bigint; burnPerHour: bigint }> {
  const intervals = await query<{ startedAt: number; until: number; isOpen: boolean }>(
    em,
    sql`select (extract(epoch from i.started_at) * 1000)::float8 as "startedAt", i.ended_at is null as "isOpen",
            (extract(epoch from date_trunc('milliseconds', ${reckonedUntil(sql`${now}::timestamptz`)})) * 1000)::float8 as until
       from runtime_intervals i
      where i.account_id = ${accountId} and i.started_at < ${to} and (i.ended_at is null or i.ended_at > ${from})
        and (${instanceId}::text is null or i.instance_id = ${instanceId})`,
  );
  const prices = await listPrices(em);
  const nanoUsd = intervals.reduce((sum, { startedAt, until }) => {
    const span = { from: Math.max(startedAt, from.getTime()), to: Math.min(until, to.getTime()) };
    return sum + chargeOf(prices, startedAt, span);
  }, 0n);
  const price = prices.findLast(({ startsAt }) => startsAt <= now.getTime())?.nanoUsdPerHour ?? 0n;
  return { nanoUsd, burnPerHour: BigInt(intervals.filter(({ isOpen }) => isOpen).length) * price };
}
