import type { EntityManager } from '@mikro-orm/postgresql';
import { runTransaction } from '../run-transaction.ts';
import { bookCharges } from './book-charges.ts';
import { debitTokens } from './debit-tokens.ts';
import { holdPrices } from './set-price.ts';
import { dueRanges, writeDebits } from './write-debits.ts';
import type { AccountCharge, AccountRange } from './write-debits.ts';

/** Intervals at once: enough that a statement costs little beside its rows, few enough that no other transaction waits long for a lock. */
const BATCH = 5_000;

/** Batches at the same time. */
const LANES = 2;

interface Sweep {
  now: Date;
  signal?: AbortSignal;
  /** Called after each batch. */
  between?: () => Promise<void>;
  batch?: number;
}

/**
 * Debits everything that is due, running time first and then model calls, with one transaction for each batch. Answers how
 * many lines were written.
 * When a batch fails, those that are under way are finished, and none is begun.
 */
export async function debitDue(em: EntityManager, sweep: Sweep): Promise<number> {
  let lines = 0;
  for (let isPartial = true; isPartial && !sweep.signal?.aborted;) {
    const passed = await passOnce(em, sweep);
    lines += passed.lines;
    isPartial = passed.isPartial;
  }
  return lines + (await debitTokens(em, { batch: BATCH, ...sweep }));
}

interface Pass {
  lines: number;
  /** Some intervals were not debited to the end, so that the sweep has to begin again. */
  isPartial: boolean;
}

async function passOnce(em: EntityManager, { now, signal, between, batch = BATCH }: Sweep): Promise<Pass> {
  const pass: Pass = { lines: 0, isPartial: false };
  const ranges = dueRanges(em, now, batch);
  // A lane that leaves the loop closes the shared iterator, which ends the loop of the other lanes too.
  const lane = async (): Promise<void> => {
    for await (const range of ranges) {
      if (signal?.aborted) return;
      const charges = await runTransaction(em, (transaction) => debitRange(transaction, now, range));
      pass.lines += charges.reduce((sum, { lines }) => sum + lines, 0);
      pass.isPartial ||= charges.some(({ isPartial }) => isPartial);
      await between?.();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: LANES }, lane));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return pass;
}

/**
 * Debits the intervals of these accounts in the caller's transaction. Each line has its interval and exact span, each
 * interval remembers how far it is debited, and what an account has no money for is the platform's loss. Passes over
 * what another sweep works on. Locks intervals, then accounts in the order of their ids.
 */
async function debitRange(em: EntityManager, now: Date, range: AccountRange): Promise<AccountCharge[]> {
  await holdPrices(em);
  const charges = await writeDebits(em, now, range);
  await bookCharges(em, now, charges);
  return charges;
}
