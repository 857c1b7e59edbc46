import type { EntityManager } from '@mikro-orm/postgresql';
import { findShortages } from './find-shortages.ts';
import { lockAccounts, reckonLocked } from './reckon-exhaustion.ts';
import type { AccountCharge } from './write-debits.ts';
import { query, sql } from '../sql.ts';

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
  const moved = await query<{ id: string; isShort: boolean }>(
    em,
    sql`with charge as (
       select accounts.id, charge.charged, to_timestamp(charge.until / 1000) as until,
              greatest(0, charge.charged - balance_nano_usd, charge.short) as loss
         from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as charge (id text, charged bigint, until float8, short bigint)
         join accounts on accounts.id = charge.id
     ), written_off as (
       insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, reason, dedupe_key)
       select 'txn_' || replace(uuidv7()::text, '-', ''), id, ${now}, 'writeoff', 'losses', 'customer', loss, 'Ran on after the money was used up',
              'writeoff:' || uuidv7()
         from charge where loss > 0
     )
     update accounts
        set balance_nano_usd = balance_nano_usd - charge.charged + charge.loss,
            debited_until = greatest(debited_until, charge.until)
       from charge where accounts.id = charge.id
     returning accounts.id, charge.loss > 0 as "isShort"`,
  );
  return moved.filter(({ isShort }) => isShort).map(({ id }) => id);
}
