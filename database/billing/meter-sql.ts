import { columns } from '../db.ts';
import { Price } from '../entities/price.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const i = columns(RuntimeInterval, 'i');
const shard = columns(WatchShard, 'shard');
const prices = columns(Price);

/** How prices follow each other, for a `with`: `price (starts_at, ends_at, per_hour)`, read once per statement. */
export const PRICE = sql`price (starts_at, ends_at, per_hour) as materialized (
  select ${prices.startsAt}, lead(${prices.startsAt}, 1, 'infinity') over (order by ${prices.startsAt}), ${prices.nanoUsdPerHour} from prices
)`;

/** Milliseconds from one moment to a later one; both are whole milliseconds. */
export const msBetween = (from: Sql, to: Sql): Sql => sql`(date_part('epoch', ${to} - ${from}) * 1000)::bigint`;

/** How far an interval is debited. */
export const BILLED = sql<Date>`coalesce(${i.billedUntil}, ${i.startedAt})`;

/** When its gateway was lost, or began to refuse turns; null while neither is so. */
export const LOST = sql<Date | null>`least(${i.lostAt}, ${i.refusingSince})`;

/**
 * Until when an interval `i` is proven to have run, `shard` being the row of its shard in watch_shards, and `now` an
 * expression for the present.
 */
export const provenUntil = (now: Sql) =>
  sql<Date>`case when ${i.endProven} then ${i.endedAt} else least(${i.endedAt}, ${LOST}, coalesce(${shard.aliveUntil}, ${now})) end`;

/** Until when it is taken to have run: to the present, unless it has ended or does not answer. */
export const reckonedUntil = (now: Sql) =>
  sql<Date>`case when ${i.endProven} then ${i.endedAt} else coalesce(least(${i.endedAt}, ${LOST}), ${now}) end`;

/** What interval `i` costs from where it is debited to this moment, in nano-dollars; the statement has PRICE. */
export const unbilledUntil = (until: Sql): Sql => sql`
  greatest(0, floor((${i.remainder} + coalesce((
    select sum(price.per_hour::numeric * ${msBetween(sql`greatest(price.starts_at, ${BILLED})`, sql`least(price.ends_at, ${until})`)})
      from price where price.starts_at < ${until} and price.ends_at > ${BILLED}), 0)) / 3600000))`;
