import type { EntityManager } from '@mikro-orm/postgresql';
import { chargeOf } from '../../domain/money/metering.ts';
import type { Price } from '../../domain/money/metering.ts';
import { listPrices } from './set-price.ts';
import type { AccountCharge } from './write-debits.ts';
import { columns, db, notNull } from '../db.ts';
import { Account } from '../entities/account.ts';
import { ModelCall } from '../entities/model-call.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { Transfer } from '../entities/transfer.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import { asText, epochMs, sql } from '../sql.ts';

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
  const account = columns(Account, 'accounts');
  const rows = await fetchRows(
    em,
    { id: account.id },
    (fields) => sql`
      select ${fields} from jsonb_to_recordset(${JSON.stringify(begun)}::jsonb) as charge (id text, "from" float8)
        join accounts on ${account.id} = charge.id
       where ${account.lastCreditAt} > to_timestamp(charge."from" / 1000)`,
  );
  const ids = new Set(rows.map(({ id }) => id));
  return charges.filter(({ accountId }) => ids.has(accountId));
}

/** How far below zero the account would have been right before each credit, less what has been written off already. */
async function depthsBeforeCredits(em: EntityManager, charge: AccountCharge, prices: readonly Price[]): Promise<bigint[]> {
  const { accountId, from } = charge;
  if (from === null) return [];
  const credits = await db(em)
    .selectFrom('Transfer')
    .select((eb) => epochMs(eb.ref('at')).as('atMs'))
    .where('account', '=', accountId)
    .where('kind', 'in', ['credit', 'reversal'])
    .where('at', '>', new Date(from))
    .execute();
  const depths: bigint[] = [];
  for (const at of new Set(credits.map(({ atMs }) => atMs))) depths.push(await depthBefore(em, charge, { at, prices }));
  return depths;
}

async function depthBefore(
  em: EntityManager,
  { accountId, nanoUsd }: AccountCharge,
  { at, prices }: { at: number; prices: readonly Price[] },
): Promise<bigint> {
  const transfer = columns(Transfer, 'transfers');
  const account = columns(Account, 'accounts');
  const interval = columns(RuntimeInterval, 'runtime_intervals');
  const moment = new Date(at);
  const change = sql`case when ${transfer.toBook} = 'customer' then ${transfer.amountNanoUsd} else -${transfer.amountNanoUsd} end`;
  const since = sql<bigint>`(
    select coalesce(sum(${change}), 0) from transfers
     where ${transfer.account} = ${account.id} and ${transfer.kind} in ('credit', 'reversal') and ${transfer.at} >= ${moment})`;
  const sums = await fetchRow(
    em,
    { balance: account.balanceNanoUsd, since: asText(since) },
    (fields) => sql`select ${fields} from accounts where ${account.id} = ${accountId}`,
  );
  const later = await fetchRows(
    em,
    { amount: transfer.amountNanoUsd, startedAt: epochMs(interval.startedAt), from: epochMs(notNull(transfer.spanFrom)) },
    (fields) => sql`
      select ${fields} from transfers join runtime_intervals on ${interval.id} = ${transfer.interval}
       where ${transfer.account} = ${accountId} and ${transfer.kind} = 'debit' and ${transfer.at} > ${moment}`,
  );
  const after = later.reduce((sum, { amount, startedAt, from }) => {
    return sum + amount - chargeOf(prices, startedAt, { from, to: at });
  }, 0n);
  const tokensAfter = await tokensDebitedAfter(em, accountId, at);
  // The balance is what it was before these debits.
  return BigInt(sums?.since ?? 0) - after - tokensAfter - ((sums?.balance ?? 0n) - BigInt(nanoUsd));
}

/** What was debited for model calls that ended after this moment. */
async function tokensDebitedAfter(em: EntityManager, accountId: string, at: number): Promise<bigint> {
  const { account, agent, model, kind, at: bookedAt, amountNanoUsd, spanFrom } = columns(Transfer);
  const call = columns(ModelCall);
  const moment = new Date(at);
  const row = await fetchRow(
    em,
    { nanoUsd: asText(sql<bigint>`coalesce(sum(debited - coalesce(before, 0)), 0)`) },
    (fields) => sql`
      select ${fields}
        from (select ${agent}, ${model}, ${spanFrom}, sum(${amountNanoUsd}) as debited from transfers
               where ${account} = ${accountId} and ${kind} = 'debit' and ${agent} is not null and ${bookedAt} > ${moment}
               group by ${agent}, ${model}, ${spanFrom}) line
       cross join lateral (select sum(${call.costNanoUsd}) as before from model_calls
                            where ${call.agent} = line.${agent} and ${call.model} = line.${model} and ${call.at} >= line.${spanFrom}
                              and ${call.at} <= ${moment}) calls`,
  );
  return BigInt(row?.nanoUsd ?? 0);
}
