import type { EntityManager } from '@mikro-orm/postgresql';

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
  await em.execute('select from accounts where id = ? for no key update', [line.accountId]);
  const [row] = await em.execute<{ at: string }[]>(
    `insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, reason, dedupe_key, reverses_id, interval_id,
                            span_from, span_to, price_nano_usd_per_hour)
     select ?, accounts.id, greatest(?::timestamptz, debited_until), ?, ?, ?, ?::bigint, ?, ?, line.id, line.interval_id,
            line.span_from, line.span_to, line.price_nano_usd_per_hour
       from accounts left join transfers line on line.id = ? where accounts.id = ?
     on conflict (dedupe_key) where dedupe_key is not null do nothing returning at::text`,
    [
      line.id,
      line.at,
      line.kind,
      line.from,
      line.to,
      line.amountNanoUsd.toString(),
      line.reason,
      line.dedupeKey,
      line.reversesId ?? null,
      line.accountId,
    ],
  );
  if (!row) return false;
  const change = (line.to === 'customer' ? line.amountNanoUsd : 0n) - (line.from === 'customer' ? line.amountNanoUsd : 0n);
  await em.execute(
    `update accounts
        set balance_nano_usd = balance_nano_usd + ?::bigint,
            last_credit_at = case when ? in ('credit', 'reversal') then greatest(last_credit_at, ?::timestamptz) else last_credit_at end
      where id = ?`,
    [change.toString(), line.kind, row.at, line.accountId],
    'run',
  );
  return true;
}
