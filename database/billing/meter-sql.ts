import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** How prices follow each other, for a `with`: `price (starts_at, ends_at, per_hour)`, read once per statement. */
export const PRICE = sql`price as materialized (
  select starts_at, lead(starts_at, 1, 'infinity') over (order by starts_at) as ends_at, nano_usd_per_hour as per_hour from prices
)`;

/** Milliseconds from one moment to a later one; both are whole milliseconds. */
export const msBetween = (from: Sql, to: Sql): Sql => sql`(date_part('epoch', ${to} - ${from}) * 1000)::bigint`;

/** How far an interval is debited. */
export const BILLED = sql`coalesce(i.billed_until, i.started_at)`;

/** When its gateway was lost, or began to refuse turns; null while neither is so. */
export const LOST = sql`least(i.lost_at, i.refusing_since)`;

/**
 * Until when an interval `i` is proven to have run, `shard` being the row of its shard in watch_shards, and `now` an
 * expression for the present.
 */
export const provenUntil = (now: Sql): Sql =>
  sql`case when i.end_proven then i.ended_at else least(i.ended_at, ${LOST}, coalesce(shard.alive_until, ${now})) end`;

/** Until when it is taken to have run: to the present, unless it has ended or does not answer. */
export const reckonedUntil = (now: Sql): Sql =>
  sql`case when i.end_proven then i.ended_at else coalesce(least(i.ended_at, ${LOST}), ${now}) end`;

/** What interval `i` costs from where it is debited to this moment, in nano-dollars; the statement has PRICE. */
export const unbilledUntil = (until: Sql): Sql => sql`
  greatest(0, floor((i.remainder + coalesce((
    select sum(price.per_hour::numeric * ${msBetween(sql`greatest(price.starts_at, ${BILLED})`, sql`least(price.ends_at, ${until})`)})
      from price where price.starts_at < ${until} and price.ends_at > ${BILLED}), 0)) / 3600000))`;
