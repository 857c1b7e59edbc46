import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/metering.ts';
import type { Price } from '../../domain/metering.ts';
import { listPrices } from './set-price.ts';
import type { AccountCharge } from './write-debits.ts';
import { query, sql } from '../sql.ts';

interface Credit {
  atMs: number;
}

/** A debit that ends after money came in. */
interface LaterDebit {
  nanoUsd: string;
  startedAt: number;
  from: number;
  to: number;
}

/**
 * For accounts that got money after the beginning of what was just debited: how much had been used up before it came, without
 * money behind it. New money does not pay for that. The accounts are locked, the debits
 * written, the balances not yet moved.
 */
export async function findShortages(em: EntityManager, charges: readonly AccountCharge[]): Promise<Map<string, string>> {
  const affected = await chargesBeforeCredits(em, charges);
  const shortages = new Map<string, string>();
  if (affected.length === 0) return shortages;
  const prices = await listPrices(em);
  for (const charge of affected) {
    const depths = await depthsBeforeCredits(em, charge, prices);
    const deepest = depths.reduce((a, b) => (a > b ? a : b), 0n);
    if (deepest > 0n) shortages.set(charge.accountId, deepest.toString());
  }
  return shortages;
}

async function chargesBeforeCredits(em: EntityManager, charges: readonly AccountCharge[]): Promise<AccountCharge[]> {
  const begun = charges.map(({ accountId, from }) => ({ id: accountId, from }));
  const rows = await query<{ id: string }>(
    em,
    sql`select accounts.id from jsonb_to_recordset(${JSON.stringify(begun)}::jsonb) as charge (id text, "from" float8) join accounts on accounts.id = charge.id
      where last_credit_at > to_timestamp(charge."from" / 1000)`,
  );
  const ids = new Set(rows.map(({ id }) => id));
  return charges.filter(({ accountId }) => ids.has(accountId));
}

/** How far below zero the account would have been right before each credit, less what has been written off already. */
async function depthsBeforeCredits(em: EntityManager, charge: AccountCharge, prices: readonly Price[]): Promise<bigint[]> {
  const { accountId, from } = charge;
  const credits = await query<Credit>(
    em,
    sql`select (extract(epoch from at) * 1000)::float8 as "atMs" from transfers
      where account_id = ${accountId} and kind in ('credit', 'reversal') and at > to_timestamp(${from}::float8 / 1000)`,
  );
  const depths: bigint[] = [];
  for (const at of new Set(credits.map(({ atMs }) => atMs))) depths.push(await depthBefore(em, charge, { at, prices }));
  return depths;
}

async function depthBefore(
  em: EntityManager,
  { accountId, nanoUsd }: AccountCharge,
  { at, prices }: { at: number; prices: readonly Price[] },
): Promise<bigint> {
  const [sums] = await query<{ balance: string; since: string }>(
    em,
    sql`select balance_nano_usd::text as balance,
            (select coalesce(sum(case when to_book = 'customer' then amount_nano_usd else -amount_nano_usd end), 0) from transfers
              where account_id = accounts.id and kind in ('credit', 'reversal') and at >= to_timestamp(${at}::float8 / 1000))::text as since
       from accounts where id = ${accountId}`,
  );
  const later = await query<LaterDebit>(
    em,
    sql`select amount_nano_usd::text as "nanoUsd", (extract(epoch from started_at) * 1000)::float8 as "startedAt",
            (extract(epoch from span_from) * 1000)::float8 as from, (extract(epoch from span_to) * 1000)::float8 as to
       from transfers join runtime_intervals on runtime_intervals.id = interval_id
      where transfers.account_id = ${accountId} and kind = 'debit' and at > to_timestamp(${at}::float8 / 1000)`,
  );
  const after = later.reduce((sum, { nanoUsd: amount, startedAt, from }) => {
    return sum + BigInt(amount) - chargeOf(prices, startedAt, { from, to: at });
  }, 0n);
  const tokensAfter = await tokensDebitedAfter(em, accountId, at);
  // The balance is what it was before these debits.
  return BigInt(sums?.since ?? 0) - after - tokensAfter - (BigInt(sums?.balance ?? 0) - BigInt(nanoUsd));
}

/** What was debited for model calls that ended after this moment. */
async function tokensDebitedAfter(em: EntityManager, accountId: string, at: number): Promise<bigint> {
  const [row] = await query<{ nanoUsd: string }>(
    em,
    sql`select coalesce(sum(debited - coalesce(before, 0)), 0)::text as "nanoUsd"
       from (select agent_id, model, span_from, sum(amount_nano_usd) as debited from transfers
              where account_id = ${accountId} and kind = 'debit' and agent_id is not null and at > to_timestamp(${at}::float8 / 1000)
              group by agent_id, model, span_from) line
      cross join lateral (select sum(cost_nano_usd) as before from model_calls
                           where agent_id = line.agent_id and model = line.model and at >= span_from
                             and at <= to_timestamp(${at}::float8 / 1000)) calls`,
  );
  return BigInt(row?.nanoUsd ?? 0);
}
