import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** A book of the ledger: the customer's, or one of the platform's. */
export type Book = 'customer' | 'credits' | 'revenue' | 'losses';

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
  await query(em, sql`select from accounts where id = ${line.accountId} for no key update`);
  const [row] = await query<{ at: string }>(
    em,
    sql`insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, reason, dedupe_key, reverses_id, interval_id,
                            span_from, span_to, price_nano_usd_per_hour)
     select ${line.id}, accounts.id, greatest(${line.at}::timestamptz, debited_until), ${line.kind}, ${line.from}, ${line.to}, ${line.amountNanoUsd.toString()}::bigint, ${line.reason}, ${line.dedupeKey}, line.id, line.interval_id,
            line.span_from, line.span_to, line.price_nano_usd_per_hour
       from accounts left join transfers line on line.id = ${line.reversesId ?? null} where accounts.id = ${line.accountId}
     on conflict (dedupe_key) where dedupe_key is not null do nothing returning at::text`,
  );
  if (!row) return false;
  const change = (line.to === 'customer' ? line.amountNanoUsd : 0n) - (line.from === 'customer' ? line.amountNanoUsd : 0n);
  await run(
    em,
    sql`update accounts
        set balance_nano_usd = balance_nano_usd + ${change.toString()}::bigint,
            last_credit_at = case when ${line.kind} in ('credit', 'reversal') then greatest(last_credit_at, ${row.at}::timestamptz) else last_credit_at end
      where id = ${line.accountId}`,
  );
  return true;
}
