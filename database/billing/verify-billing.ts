import type { EntityManager } from '@mikro-orm/postgresql';
import type { Price } from '../../domain/metering.ts';
import { verifyAccount } from '../../domain/verify-account.ts';
import type { AccountRecord, LedgerLine, MeteredInterval } from '../../domain/verify-account.ts';
import { BILLED, LOST, provenUntil } from './meter-sql.ts';
import { readTokens } from './read-tokens.ts';
import { listPrices } from './set-price.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

export interface Verification {
  accounts: number;
  intervals: number;
  /** Model calls that were charged. */
  calls: number;
  lines: number;
  debitedNanoUsd: bigint;
  creditedNanoUsd: bigint;
  writtenOffNanoUsd: bigint;
  balanceNanoUsd: bigint;
  /** A sentence each. */
  problems: string[];
}

const ACCOUNTS_AT_ONCE = 100;

/**
 * Recomputes debits, losses and balances of the whole database from nothing but intervals, model calls, credits and prices. Each
 * group of accounts is read in one snapshot.
 */
export async function verifyBilling(em: EntityManager): Promise<Verification> {
  const found: Verification = {
    accounts: 0,
    intervals: 0,
    calls: 0,
    lines: 0,
    debitedNanoUsd: 0n,
    creditedNanoUsd: 0n,
    writtenOffNanoUsd: 0n,
    balanceNanoUsd: 0n,
    problems: [],
  };
  for (let after = ''; ;) {
    const { accounts, prices } = await readAccounts(em.fork(), after);
    for (const account of accounts) add(found, account, prices);
    const last = accounts.at(-1);
    if (!last) return found;
    after = last.accountId;
  }
}

function add(found: Verification, account: AccountRecord, prices: readonly Price[]): void {
  const sumOf = (kinds: readonly LedgerLine['kind'][]): bigint =>
    account.lines.reduce((sum, { kind, amount }) => (kinds.includes(kind) ? sum + amount : sum), 0n);
  found.accounts += 1;
  found.intervals += account.intervals.length;
  found.calls += account.tokens.hours.reduce((sum, { calls }) => sum + calls, 0);
  found.lines += account.lines.length;
  found.debitedNanoUsd -= sumOf(['debit']);
  found.creditedNanoUsd += sumOf(['credit', 'reversal']);
  found.writtenOffNanoUsd += sumOf(['writeoff']);
  found.balanceNanoUsd += account.balance;
  found.problems.push(...verifyAccount(account, prices));
}

async function readAccounts(em: EntityManager, after: string): Promise<{ accounts: AccountRecord[]; prices: Price[] }> {
  return em.transactional(async (transaction) => {
    await query(transaction, sql`set transaction isolation level repeatable read read only`);
    const accounts = await query<{ id: string; balance: string }>(
      transaction,
      sql`select id, balance_nano_usd::text as balance from accounts where id > ${after} order by id limit ${ACCOUNTS_AT_ONCE}`,
    );
    const ids = JSON.stringify(accounts.map(({ id }) => id));
    const intervals = await readIntervals(transaction, ids);
    const lines = await readLines(transaction, ids);
    const tokens = await readTokens(transaction, ids);
    const records = accounts.map(({ id, balance }) => ({
      accountId: id,
      balance: BigInt(balance),
      intervals: intervals.get(id) ?? [],
      lines: lines.get(id) ?? [],
      tokens: tokens.get(id) ?? { hours: [], parts: [] },
    }));
    return { accounts: records, prices: await listPrices(transaction) };
  });
}

const ms = (column: Sql): Sql => sql`(extract(epoch from ${column}) * 1000)::float8`;

async function readIntervals(em: EntityManager, accountIds: string): Promise<Map<string, MeteredInterval[]>> {
  const rows = await query<MeteredInterval & { accountId: string }>(
    em,
    sql`select i.account_id as "accountId", i.id, ${ms(sql`i.started_at`)} as "startedAt", ${ms(sql`i.ended_at`)} as "endedAt",
            ${ms(BILLED)} as "billedUntil", i.settled as "isSettled",
            ${ms(sql`greatest(i.started_at, case when i.settled and not i.end_proven then least(i.ended_at, ${LOST}) else ${provenUntil(sql`i.started_at`)} end)`)} as "provenUntil"
       from runtime_intervals i
       join instances on instances.id = i.instance_id
       join watch_shards shard on shard.shard = instances.shard
      where i.account_id in (select jsonb_array_elements_text(${accountIds}::jsonb))`,
  );
  return Map.groupBy(rows, ({ accountId }) => accountId);
}

interface LineRow extends Omit<LedgerLine, 'amount' | 'nanoUsdPerHour'> {
  accountId: string;
  amount: string;
  price: string | null;
}

async function readLines(em: EntityManager, accountIds: string): Promise<Map<string, LedgerLine[]>> {
  const rows = await query<LineRow>(
    em,
    sql`select account_id as "accountId", id, ${ms(sql`at`)} as at, kind, interval_id as "intervalId", agent_id as "agentId", ${ms(sql`span_from`)} as from, ${ms(sql`span_to`)} as to,
            (case when to_book = 'customer' then amount_nano_usd else -amount_nano_usd end)::text as amount,
            price_nano_usd_per_hour::text as price, reverses_id as "reversesId"
       from transfers where account_id in (select jsonb_array_elements_text(${accountIds}::jsonb))`,
  );
  const lines = rows.map(({ amount, price, ...line }) => ({
    ...line,
    amount: BigInt(amount),
    nanoUsdPerHour: price === null ? null : BigInt(price),
  }));
  return Map.groupBy(lines, ({ accountId }) => accountId);
}
