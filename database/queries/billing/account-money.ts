import type { EntityManager } from '@mikro-orm/postgresql';
import { provenUntil, reckonedUntil, unbilledUntil } from './meter-sql.ts';

/** What an account has, in nano-dollars. */
export interface AccountMoney {
  /** The sum of its ledger lines. */
  ledger: bigint;
  /** What has accrued since the last debits, as far as it is proven. */
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
  const [row] = await em.execute<{ ms: number }[]>(`select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as ms`);
  if (!row) throw new Error('the database did not say what time it is');
  return new Date(row.ms);
}

/** What an account has at this moment; everything zero when there is no such account. */
export async function findAccountMoney(em: EntityManager, accountId: string, now: Date): Promise<AccountMoney> {
  const [row] = await em.execute<Record<'ledger' | 'proven' | 'reckoned' | 'burn', string>[]>(
    `with clock as materialized (select ?::timestamptz as now)
     select accounts.balance_nano_usd::text as ledger, coalesce(sum(cost.proven), 0)::text as proven,
            coalesce(sum(cost.reckoned), 0)::text as reckoned,
            (count(*) filter (where cost.is_open) * coalesce((
              select nano_usd_per_hour from prices where starts_at <= (select now from clock) order by starts_at desc limit 1), 0))::text as burn
       from accounts
       left join lateral (
         select ${unbilledUntil('until.proven')} as proven, ${unbilledUntil('until.reckoned')} as reckoned, i.ended_at is null as is_open
           from clock cross join runtime_intervals i
           join instances on instances.id = i.instance_id
           join watch_shards shard on shard.shard = instances.shard
           cross join lateral (select ${provenUntil('clock.now')} as proven, ${reckonedUntil('clock.now')} as reckoned) until
          where i.account_id = accounts.id and not i.settled
       ) cost on true
      where accounts.id = ?
      group by accounts.id`,
    [now, accountId],
  );
  const [ledger, proven] = [BigInt(row?.ledger ?? 0), BigInt(row?.proven ?? 0)];
  const available = ledger - BigInt(row?.reckoned ?? 0);
  return { ledger, proven, balance: ledger > proven ? ledger - proven : 0n, available, burnPerHour: BigInt(row?.burn ?? 0) };
}
