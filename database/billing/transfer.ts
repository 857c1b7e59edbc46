import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { Transfer } from '../entities/transfer.ts';
import type { Book } from '../entities/transfer.ts';
import { fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';

export interface NewTransfer {
  id: string;
  accountId: string;
  at: Date;
  kind: 'credit' | 'debit' | 'reversal' | 'writeoff';
  from: Book;
  to: Book;
  /** Above zero. */
  amountNanoUsd: bigint;
  reason: string | null;
  dedupeKey: string;
  /** The line that a reversal takes back: what that was about, this is about. */
  reversesId?: string;
}

/**
 * Books one ledger line and moves the balance with it; false, and nothing changed, when its key was booked before. It is
 * entered no earlier than the end of what was debited before. Locks the account.
 */
export async function transfer(em: EntityManager, line: NewTransfer): Promise<boolean> {
  await db(em).selectFrom('Account').select('id').where('id', '=', line.accountId).forNoKeyUpdate().execute();
  const t = columns(Transfer);
  const about = columns(Transfer, 'line');
  const account = columns(Account, 'accounts');
  const row = await fetchRow(
    em,
    { at: t.at },
    (fields) => sql`
      insert into transfers (${t.id}, ${t.account}, ${t.at}, ${t.kind}, ${t.fromBook}, ${t.toBook}, ${t.amountNanoUsd}, ${t.reason}, ${t.dedupeKey},
                             ${t.reversesId}, ${t.interval}, ${t.spanFrom}, ${t.spanTo}, ${t.priceNanoUsdPerHour})
      select ${line.id}, ${account.id}, greatest(${line.at}::timestamptz, ${account.debitedUntil}), ${line.kind}, ${line.from}, ${line.to},
             ${line.amountNanoUsd.toString()}::bigint, ${line.reason}, ${line.dedupeKey}, ${about.id}, ${about.interval},
             ${about.spanFrom}, ${about.spanTo}, ${about.priceNanoUsdPerHour}
        from accounts left join transfers line on ${about.id} = ${line.reversesId ?? null} where ${account.id} = ${line.accountId}
      on conflict (${t.dedupeKey}) where ${t.dedupeKey} is not null do nothing
      returning ${fields}`,
  );
  if (!row) return false;
  const change = (line.to === 'customer' ? line.amountNanoUsd : 0n) - (line.from === 'customer' ? line.amountNanoUsd : 0n);
  const isCredit = line.kind === 'credit' || line.kind === 'reversal';
  await db(em)
    .updateTable('Account')
    .set((eb) => ({ balanceNanoUsd: eb('balanceNanoUsd', '+', change) }))
    .$if(isCredit, (update) => update.set((eb) => ({ lastCreditAt: eb.fn('greatest', ['lastCreditAt', eb.val(row.at)]) })))
    .where('id', '=', line.accountId)
    .execute();
  return true;
}
