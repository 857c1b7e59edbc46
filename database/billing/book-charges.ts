import type { EntityManager } from '@mikro-orm/postgresql';
import { findShortages } from './find-shortages.ts';
import { lockAccounts, reckonLocked } from './reckon-exhaustion.ts';
import type { AccountCharge } from './write-debits.ts';
import { columns } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Transfer } from '../entities/transfer.ts';
import { fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';

/**
 * Moves the balances of these accounts by what was just debited, and books what there was no money for as the platform's
 * loss, so that no balance falls below zero. Locks the accounts, in the order of their ids.
 */
export async function bookCharges(em: EntityManager, now: Date, charges: readonly AccountCharge[]): Promise<void> {
  if (charges.length === 0) return;
  await lockAccounts(
    em,
    charges.map(({ accountId }) => accountId),
  );
  const short = await moveBalances(
    em,
    now,
    charges.filter(({ lines }) => lines > 0),
  );
  // A debit of what goes on takes from the balance exactly what had accrued, so the money lasts as long as before.
  const closing = charges.filter(({ isClosing }) => isClosing).map(({ accountId }) => accountId);
  const changed = [...new Set([...closing, ...short])];
  if (changed.length > 0) await reckonLocked(em, changed, now);
}

/** Answers the accounts whose money did not suffice. */
async function moveBalances(em: EntityManager, now: Date, charges: readonly AccountCharge[]): Promise<string[]> {
  if (charges.length === 0) return [];
  const shortages = await findShortages(em, charges);
  const rows = charges.map(({ accountId, nanoUsd, to }) => ({
    id: accountId,
    charged: nanoUsd,
    until: to,
    short: shortages.get(accountId) ?? '0',
  }));
  const account = columns(Account, 'accounts');
  const { balanceNanoUsd, debitedUntil } = columns(Account);
  const t = columns(Transfer);
  const moved = await fetchRows(
    em,
    { id: account.id, isShort: sql<boolean>`charge.loss > 0` },
    (fields) => sql`
      with charge as (
        select ${account.id}, charge.charged, to_timestamp(charge.until / 1000) as until,
               greatest(0, charge.charged - ${account.balanceNanoUsd}, charge.short) as loss
          from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as charge (id text, charged bigint, until float8, short bigint)
          join accounts on ${account.id} = charge.id
      ), written_off as (
        insert into transfers (${t.id}, ${t.account}, ${t.at}, ${t.kind}, ${t.fromBook}, ${t.toBook}, ${t.amountNanoUsd}, ${t.reason}, ${t.dedupeKey})
        select 'txn_' || replace(uuidv7()::text, '-', ''), id, ${now}, 'writeoff', 'losses', 'customer', loss, 'Ran on after the money was used up',
               'writeoff:' || uuidv7()
          from charge where loss > 0
      )
      update accounts
         set ${balanceNanoUsd} = ${account.balanceNanoUsd} - charge.charged + charge.loss,
             ${debitedUntil} = greatest(${account.debitedUntil}, charge.until)
        from charge where ${account.id} = charge.id
      returning ${fields}`,
  );
  return moved.filter(({ isShort }) => isShort).map(({ id }) => id);
}
