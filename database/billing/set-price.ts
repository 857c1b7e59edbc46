import type { EntityManager } from '@mikro-orm/postgresql';
import type { Price as PriceFrom } from '../../domain/money/metering.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';
import { notePrice } from '../budgets/note-running.ts';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Price } from '../entities/price.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRow } from '../rows.ts';
import { run, sql } from '../sql.ts';

/** The advisory lock of prices, a number with no other use: debits take it shared, a change of the price takes it exclusively. */
const PRICES_LOCK = 724_310_379;

const ACCOUNTS_AT_ONCE = 1_000;

/** Keeps the prices as they are until the transaction ends. */
export async function holdPrices(em: EntityManager): Promise<void> {
  await run(em, sql`select pg_advisory_xact_lock_shared(${PRICES_LOCK})`);
}

/**
 * Has a running hour cost this much from `at` on, in the caller's transaction: never for time that was debited or shown
 * as such. `at` null: the database's own time. False when it cost as much already.
 */
export async function setPrice(em: EntityManager, nanoUsdPerHour: bigint, at: Date | null): Promise<boolean> {
  await run(em, sql`select pg_advisory_xact_lock(${PRICES_LOCK})`);
  const price = columns(Price);
  const last = columns(Price, 'last');
  const perHour = sql`${nanoUsdPerHour.toString()}::bigint`;
  const row = await fetchRow(
    em,
    { startsAt: price.startsAt },
    (fields) => sql`
      insert into prices (${price.startsAt}, ${price.nanoUsdPerHour})
      select greatest(coalesce(${at}::timestamptz, clock_timestamp()), ${last.startsAt} + interval '1 millisecond',
                      (select max(${columns(WatchShard).aliveUntil}) from watch_shards),
                      (select max(${columns(Account).debitedUntil}) from accounts)), ${perHour}
        from (select 1) one left join (select * from prices order by ${price.startsAt} desc limit 1) last on true
       where ${last.nanoUsdPerHour} is distinct from ${perHour}
      returning ${fields}`,
  );
  if (!row) return false;
  const burning = await db(em)
    .selectFrom('RuntimeInterval')
    .select('account')
    .distinct()
    .where('endedAt', 'is', null)
    .orderBy('account')
    .execute();
  for (let done = 0; done < burning.length; done += ACCOUNTS_AT_ONCE) {
    const ids = burning.slice(done, done + ACCOUNTS_AT_ONCE).map(({ account }) => account);
    await reckonExhaustion(em, ids, row.startsAt);
  }
  await notePrice(em, row.startsAt);
  return true;
}

/** Every price that there was, in order. */
export async function listPrices(em: EntityManager): Promise<PriceFrom[]> {
  const rows = await db(em).selectFrom('Price').select(['startsAt', 'nanoUsdPerHour']).orderBy('startsAt').execute();
  return rows.map(({ startsAt, nanoUsdPerHour }) => ({ startsAt: startsAt.getTime(), nanoUsdPerHour }));
}
