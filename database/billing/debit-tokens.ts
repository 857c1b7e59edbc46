import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../run-transaction.ts';
import { columns } from '../db.ts';
import { TokenCharge } from '../entities/token-charge.ts';
import { Transfer } from '../entities/transfer.ts';
import { fetchRows } from '../rows.ts';
import { asNumber, asText, epochMs, sql } from '../sql.ts';
import { bookCharges } from './book-charges.ts';
import type { AccountCharge } from './write-debits.ts';

interface Sweep {
  now: Date;
  signal?: AbortSignal | undefined;
  /** Called after each batch. */
  between?: (() => Promise<void>) | undefined;
  /** Lines at once. */
  batch: number;
}

/** How long after its end an hour is debited: by then its calls are stored. A call that is stored later gets a line of a later debit. */
const GRACE_SECONDS = 60;

/**
 * Debits what model calls of hours that are over have cost: one line for each agent, model and hour, and one transaction for each
 * batch. Answers how many lines were written.
 */
export async function debitTokens(em: EntityManager, sweep: Sweep): Promise<number> {
  let lines = 0;
  for (let isMore = true; isMore && !sweep.signal?.aborted;) {
    const charges = await runTransaction(em, async (transaction) => {
      const written = await writeTokenDebits(transaction, sweep.now, sweep.batch);
      await bookCharges(transaction, sweep.now, written);
      return written;
    });
    lines += charges.reduce((sum, charge) => sum + charge.lines, 0);
    isMore = charges.length > 0;
    await sweep.between?.();
  }
  return lines;
}

/** Turns charges into ledger lines, so that each is debited once. Locks the charges, and passes over those that are locked. */
async function writeTokenDebits(em: EntityManager, now: Date, limit: number): Promise<AccountCharge[]> {
  const charge = columns(TokenCharge);
  const t = columns(Transfer);
  const place = sql.join([charge.agent, charge.model, charge.hour]);
  const end = sql`${charge.hour} + interval '1 hour'`;
  const booked = {
    accountId: t.account,
    nanoUsd: asText(sql<bigint>`sum(${t.amountNanoUsd})`),
    lines: asNumber(sql<bigint>`count(*)`),
    isPartial: sql<boolean>`false`,
    isClosing: sql<boolean>`false`,
    from: epochMs(sql<Date>`min(${t.spanFrom})`),
    to: epochMs(sql<Date>`max(${t.spanTo})`),
  };
  return fetchRows(
    em,
    booked,
    (fields) => sql`
      with due as (
        delete from token_charges where (${place}) in (
          select ${place} from token_charges
           where ${end} + ${GRACE_SECONDS} * interval '1 second' <= ${now}::timestamptz
           order by ${charge.account}, ${charge.hour} limit ${limit} for update skip locked)
        returning *
      ), booked as (
        insert into transfers (${t.id}, ${t.account}, ${t.at}, ${t.kind}, ${t.fromBook}, ${t.toBook}, ${t.amountNanoUsd},
                               ${t.agent}, ${t.model}, ${t.calls}, ${t.spanFrom}, ${t.spanTo})
        select 'txn_' || replace(uuidv7()::text, '-', ''), ${charge.account}, ${end}, 'debit', 'customer', 'revenue', ${charge.costNanoUsd},
               ${charge.agent}, ${charge.model}, ${charge.calls}, ${charge.hour}, ${end} from due
        returning ${t.account}, ${t.amountNanoUsd}, ${t.spanFrom}, ${t.spanTo}
      )
      select ${fields} from booked group by ${t.account} order by ${t.account}`,
  );
}
