import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../run-transaction.ts';
import { query, sql } from '../sql.ts';
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
  return query<AccountCharge>(
    em,
    sql`with due as (
       delete from token_charges where (agent_id, model, hour) in (
         select agent_id, model, hour from token_charges
          where hour + interval '1 hour' + ${GRACE_SECONDS} * interval '1 second' <= ${now}::timestamptz
          order by account_id, hour limit ${limit} for update skip locked)
       returning *
     ), booked as (
       insert into transfers (id, account_id, at, kind, from_book, to_book, amount_nano_usd, agent_id, model, calls, span_from, span_to)
       select 'txn_' || replace(uuidv7()::text, '-', ''), account_id, hour + interval '1 hour', 'debit', 'customer', 'revenue', cost_nano_usd,
              agent_id, model, calls, hour, hour + interval '1 hour' from due
       returning account_id, amount_nano_usd, span_from, span_to
     )
     select account_id as "accountId", sum(amount_nano_usd)::text as "nanoUsd", count(*)::float8 as lines, false as "isPartial", false as "isClosing",
            (extract(epoch from min(span_from)) * 1000)::float8 as from, (extract(epoch from max(span_to)) * 1000)::float8 as to
       from booked group by account_id order by account_id`,
  );
}
