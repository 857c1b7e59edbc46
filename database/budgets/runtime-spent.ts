import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/money/metering.ts';
import { reckonedUntil } from '../billing/meter-sql.ts';
import { listPrices } from '../billing/set-price.ts';
import { columns } from '../db.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { fetchRows } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';

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
  const i = columns(RuntimeInterval, 'i');
  const counted = sql<Date>`date_trunc('milliseconds', ${reckonedUntil(sql`${now}::timestamptz`)})`;
  const isOfInstance = instanceId === null ? sql`true` : sql`${i.instance} = ${instanceId}`;
  const intervals = await fetchRows(
    em,
    { startedAt: epochMs(i.startedAt), until: epochMs(counted), isOpen: sql<boolean>`${i.endedAt} is null` },
    (fields) => sql`
      select ${fields} from runtime_intervals i
       where ${i.account} = ${accountId} and ${i.startedAt} < ${to} and (${i.endedAt} is null or ${i.endedAt} > ${from}) and ${isOfInstance}`,
  );
  const prices = await listPrices(em);
  const nanoUsd = intervals.reduce((sum, { startedAt, until }) => {
    const span = { from: Math.max(startedAt, from.getTime()), to: Math.min(until, to.getTime()) };
    return sum + chargeOf(prices, startedAt, span);
  }, 0n);
  const price = prices.findLast(({ startsAt }) => startsAt <= now.getTime())?.nanoUsdPerHour ?? 0n;
  return { nanoUsd, burnPerHour: BigInt(intervals.filter(({ isOpen }) => isOpen).length) * price };
}
