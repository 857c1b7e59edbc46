import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/money/metering.ts';
import { BILLED, provenUntil, reckonedUntil } from './meter-sql.ts';
import { undebitedTokens } from './token-sql.ts';
import { columns } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Instance } from '../entities/instance.ts';
import { Price } from '../entities/price.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRow } from '../rows.ts';
import { asText, sql } from '../sql.ts';
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
  const row = await fetchRow(em, { ms: ms(sql`clock_timestamp()`) }, (fields) => sql`select ${fields}`);
  if (!row) throw new Error('the database did not say what time it is');
  return new Date(row.ms);
}

const account = columns(Account, 'accounts');
const i = columns(RuntimeInterval, 'i');
const price = columns(Price, 'prices');
const instance = columns(Instance, 'instances');
const shard = columns(WatchShard, 'shard');

const CLOCK = sql`clock.now`;

const PRICES = sql<[startsAt: number, nanoUsdPerHour: string][] | null>`(
  select json_agg(json_build_array(${ms(price.startsAt)}, ${price.nanoUsdPerHour}::text) order by ${price.startsAt}) from prices)`;

type OpenInterval = Record<'startedAt' | 'billed' | 'proven' | 'reckoned', number> & { isOpen: boolean };

const INTERVALS = sql<OpenInterval[] | null>`(
  select json_agg(json_build_object(
           'startedAt', ${ms(i.startedAt)}, 'billed', ${ms(BILLED)}, 'isOpen', ${i.endedAt} is null,
           'proven', ${ms(provenUntil(CLOCK))}, 'reckoned', ${ms(reckonedUntil(CLOCK))}))
    from runtime_intervals i
    join instances on ${instance.id} = ${i.instance}
    join watch_shards shard on ${shard.shard} = ${instance.shard}
   where ${i.account} = ${account.id} and not ${i.settled})`;

const MONEY = {
  ledger: account.balanceNanoUsd,
  tokens: asText(undebitedTokens(account.id)),
  now: ms(CLOCK),
  prices: PRICES,
  intervals: INTERVALS,
};

/**
 * What an account has at this moment, or now by the database's clock; everything zero when there is no such account. One
 * short statement, which looks at what is not settled only: the ledger's age does not matter.
 */
export async function findAccountMoney(em: EntityManager, accountId: string, at: Date | null): Promise<AccountMoney> {
  const row = await fetchRow(
    em,
    MONEY,
    (fields) => sql`
      select ${fields}
        from accounts, (select date_trunc('milliseconds', coalesce(${at}::timestamptz, clock_timestamp())) as now offset 0) clock
       where ${account.id} = ${accountId}`,
  );
  if (!row) return { ledger: 0n, proven: 0n, balance: 0n, available: 0n, burnPerHour: 0n };
  const { ledger } = row;
  const prices = (row.prices ?? []).map(([startsAt, perHour]) => ({ startsAt, nanoUsdPerHour: BigInt(perHour) }));
  const accrued = (until: 'proven' | 'reckoned'): bigint =>
    (row.intervals ?? []).reduce(
      (sum, interval) => sum + chargeOf(prices, interval.startedAt, { from: interval.billed, to: interval[until] }),
      BigInt(row.tokens),
    );
  const proven = accrued('proven');
  const perHour = prices.findLast(({ startsAt }) => startsAt <= row.now)?.nanoUsdPerHour ?? 0n;
  const open = row.intervals?.filter(({ isOpen }) => isOpen).length ?? 0;
  return {
    ledger,
    proven,
    balance: ledger > proven ? ledger - proven : 0n,
    available: ledger - accrued('reckoned'),
    burnPerHour: BigInt(open) * perHour,
  };
}

function ms(moment: Sql) {
  return sql<number>`floor(extract(epoch from ${moment}) * 1000)::float8`;
}
