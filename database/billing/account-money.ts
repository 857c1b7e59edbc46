import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/metering.ts';
import { BILLED, provenUntil, reckonedUntil } from './meter-sql.ts';
import { undebitedTokens } from './token-sql.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** What an account has, in nano-dollars. */
export interface AccountMoney {
  /** The sum of its ledger lines. */
  ledger: bigint;
  /** What has accrued since the last debits: running time as far as it is proven, and model calls. */
  proven: bigint;
  /** Ledger less what has accrued as far as it is proven: what the customer is shown. Never negative. */
  balance: bigint;
  /** Ledger less what has accrued up to the present: zero or less means that the money is used up. */
  available: bigint;
  /** What an hour costs with what runs now. */
  burnPerHour: bigint;
}

/** The database's time, in whole milliseconds. */
export async function readDatabaseClock(em: EntityManager): Promise<Date> {
  const [row] = await query<{ ms: number }>(em, sql`select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as ms`);
  if (!row) throw new Error('the database did not say what time it is');
  return new Date(row.ms);
}

interface MoneyRow {
  ledger: string;
  tokens: string;
  now: number;
  prices: [startsAt: number, nanoUsdPerHour: string][] | null;
  intervals: { startedAt: number; billed: number; proven: number; reckoned: number; isOpen: boolean }[] | null;
}

/**
 * What an account has at this moment, or now by the database's clock; everything zero when there is no such account. One
 * short statement, which looks at what is not settled only: the ledger's age does not matter.
 */
export async function findAccountMoney(em: EntityManager, accountId: string, at: Date | null): Promise<AccountMoney> {
  const [row] = await query<MoneyRow>(
    em,
    sql`select balance_nano_usd::text as ledger, ${undebitedTokens(sql`accounts.id`)}::text as tokens,
            ${ms(sql`clock.now`)} as now,
            (select json_agg(json_build_array(${ms(sql`starts_at`)}, nano_usd_per_hour::text) order by starts_at) from prices) as prices,
            (select json_agg(json_build_object('startedAt', ${ms(sql`i.started_at`)}, 'billed', ${ms(BILLED)}, 'isOpen', i.ended_at is null,
                                               'proven', ${ms(provenUntil(sql`clock.now`))}, 'reckoned', ${ms(reckonedUntil(sql`clock.now`))}))
               from runtime_intervals i
               join instances on instances.id = i.instance_id
               join watch_shards shard on shard.shard = instances.shard
              where i.account_id = accounts.id and not i.settled) as intervals
       from accounts, (select date_trunc('milliseconds', coalesce(${at}::timestamptz, clock_timestamp())) as now offset 0) clock
      where accounts.id = ${accountId}`,
  );
  if (!row) return { ledger: 0n, proven: 0n, balance: 0n, available: 0n, burnPerHour: 0n };
  const ledger = BigInt(row.ledger);
  const prices = (row.prices ?? []).map(([startsAt, price]) => ({ startsAt, nanoUsdPerHour: BigInt(price) }));
  const accrued = (until: 'proven' | 'reckoned'): bigint =>
    (row.intervals ?? []).reduce(
      (sum, interval) => sum + chargeOf(prices, interval.startedAt, { from: interval.billed, to: interval[until] }),
      BigInt(row.tokens),
    );
  const proven = accrued('proven');
  const price = prices.findLast(({ startsAt }) => startsAt <= row.now)?.nanoUsdPerHour ?? 0n;
  const open = row.intervals?.filter(({ isOpen }) => isOpen).length ?? 0;
  return {
    ledger,
    proven,
    balance: ledger > proven ? ledger - proven : 0n,
    available: ledger - accrued('reckoned'),
    burnPerHour: BigInt(open) * price,
  };
}

const ms = (moment: Sql): Sql => sql`floor(extract(epoch from ${moment}) * 1000)::float8`;
