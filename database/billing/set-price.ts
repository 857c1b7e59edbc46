import type { EntityManager } from '@mikro-orm/postgresql';
import type { Price } from '../../domain/metering.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';
import { notePrice } from '../budgets/note-running.ts';
import { query, sql } from '../sql.ts';

/** The advisory lock of prices, a number with no other use: debits take it shared, a change of the price takes it exclusively. */
const PRICES_LOCK = 724_310_379;

const ACCOUNTS_AT_ONCE = 1_000;

/** Keeps the prices as they are until the transaction ends. */
export async function holdPrices(em: EntityManager): Promise<void> {
  await query(em, sql`select pg_advisory_xact_lock_shared(${PRICES_LOCK})`);
}

/**
 * Has a running hour cost this much from `at` on, in the caller's transaction: never for time that was debited or shown
 * as such. `at` null: the database's own time. False when it cost as much already.
 */
export async function setPrice(em: EntityManager, nanoUsdPerHour: bigint, at: Date | null): Promise<boolean> {
  await query(em, sql`select pg_advisory_xact_lock(${PRICES_LOCK})`);
  const [row] = await query<{ startsAtMs: number }>(
    em,
    sql`insert into prices (starts_at, nano_usd_per_hour)
     select greatest(coalesce(${at}::timestamptz, clock_timestamp()), last.starts_at + interval '1 millisecond',
                     (select max(alive_until) from watch_shards), (select max(debited_until) from accounts)), ${nanoUsdPerHour.toString()}::bigint
       from (select 1) one left join (select * from prices order by starts_at desc limit 1) last on true
      where last.nano_usd_per_hour is distinct from ${nanoUsdPerHour.toString()}::bigint
     returning (extract(epoch from starts_at) * 1000)::float8 as "startsAtMs"`,
  );
  if (!row) return false;
  const burning = await query<{ id: string }>(
    em,
    sql`select distinct account_id as id from runtime_intervals where ended_at is null order by account_id`,
  );
  for (let done = 0; done < burning.length; done += ACCOUNTS_AT_ONCE) {
    const ids = burning.slice(done, done + ACCOUNTS_AT_ONCE).map(({ id }) => id);
    await reckonExhaustion(em, ids, new Date(row.startsAtMs));
  }
  await notePrice(em, new Date(row.startsAtMs));
  return true;
}

/** Every price that there was, in order. */
export async function listPrices(em: EntityManager): Promise<Price[]> {
  const rows = await query<{ startsAt: number; price: string }>(
    em,
    sql`select (extract(epoch from starts_at) * 1000)::float8 as "startsAt", nano_usd_per_hour::text as price from prices order by starts_at`,
  );
  return rows.map(({ startsAt, price }) => ({ startsAt, nanoUsdPerHour: BigInt(price) }));
}
