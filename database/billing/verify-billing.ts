import type { EntityManager } from '@mikro-orm/postgresql';
import type { Price } from '../../domain/money/metering.ts';
import { verifyAccount } from '../../domain/money/verify-account.ts';
import type { AccountRecord, LedgerLine, MeteredInterval } from '../../domain/money/verify-account.ts';
import { BILLED, LOST, provenUntil } from './meter-sql.ts';
import { readTokens } from './read-tokens.ts';
import { listPrices } from './set-price.ts';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { Transfer } from '../entities/transfer.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRows } from '../rows.ts';
import { epochMs, run, sql } from '../sql.ts';

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
    await run(transaction, sql`set transaction isolation level repeatable read read only`);
    const accounts = await db(transaction)
      .selectFrom('Account')
      .select(['id', 'balanceNanoUsd'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(ACCOUNTS_AT_ONCE)
      .execute();
    const ids = JSON.stringify(accounts.map(({ id }) => id));
    const intervals = await readIntervals(transaction, ids);
    const lines = await readLines(transaction, ids);
    const tokens = await readTokens(transaction, ids);
    const records = accounts.map(({ id, balanceNanoUsd }) => ({
      accountId: id,
      balance: balanceNanoUsd,
      intervals: intervals.get(id) ?? [],
      lines: lines.get(id) ?? [],
      tokens: tokens.get(id) ?? { hours: [], parts: [] },
    }));
    return { accounts: records, prices: await listPrices(transaction) };
  });
}

async function readIntervals(em: EntityManager, accountIds: string): Promise<Map<string, MeteredInterval[]>> {
  const i = columns(RuntimeInterval, 'i');
  const instance = columns(Instance, 'instances');
  const shard = columns(WatchShard, 'shard');
  const proven = sql<Date>`greatest(${i.startedAt}, case when ${i.settled} and not ${i.endProven} then least(${i.endedAt}, ${LOST})
                                                        else ${provenUntil(i.startedAt)} end)`;
  const rows = await fetchRows(
    em,
    {
      accountId: i.account,
      id: i.id,
      startedAt: epochMs(i.startedAt),
      endedAt: epochMs(i.endedAt),
      billedUntil: epochMs(BILLED),
      isSettled: i.settled,
      provenUntil: epochMs(proven),
    },
    (fields) => sql`
      select ${fields}
        from runtime_intervals i
        join instances on ${instance.id} = ${i.instance}
        join watch_shards shard on ${shard.shard} = ${instance.shard}
       where ${i.account} in (select jsonb_array_elements_text(${accountIds}::jsonb))`,
  );
  return Map.groupBy(rows, ({ accountId }) => accountId);
}

async function readLines(em: EntityManager, accountIds: string): Promise<Map<string, LedgerLine[]>> {
  const t = columns(Transfer);
  const rows = await fetchRows(
    em,
    {
      accountId: t.account,
      id: t.id,
      at: epochMs(t.at),
      kind: t.kind,
      intervalId: t.interval,
      agentId: t.agent,
      from: epochMs(t.spanFrom),
      to: epochMs(t.spanTo),
      toBook: t.toBook,
      amountNanoUsd: t.amountNanoUsd,
      nanoUsdPerHour: t.priceNanoUsdPerHour,
      reversesId: t.reversesId,
    },
    (fields) => sql`
      select ${fields} from transfers where ${t.account} in (select jsonb_array_elements_text(${accountIds}::jsonb))`,
  );
  const lines = rows.map(({ toBook, amountNanoUsd, ...line }) => ({
    ...line,
    amount: toBook === 'customer' ? amountNanoUsd : -amountNanoUsd,
  }));
  return Map.groupBy(lines, ({ accountId }) => accountId);
}
