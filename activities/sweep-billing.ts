import { setTimeout as sleep } from 'node:timers/promises';
import type { MikroORM } from '@mikro-orm/postgresql';
import { readDatabaseClock } from '../database/billing/account-money.ts';
import { debitDue } from '../database/billing/debit-due.ts';
import { listExhausted, stopExhausted } from '../database/billing/stop-exhausted.ts';
import { reckonCharged } from '../database/billing/reckon-charged.ts';
import { settleLeftCalls } from '../database/billing/settle-left-calls.ts';
import { listLow, warnLow } from '../database/billing/warn-low.ts';
import { listDueSpends } from '../database/budgets/find-spend.ts';
import { lookAtSpend } from '../database/budgets/look-at-spend.ts';
import { stopOverBudget } from '../database/budgets/stop-over-budget.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { MakeId } from '../domain/ids.ts';
import { runRetryable } from './steps/run-retryable.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { stepFailure } from './steps/step-failure.ts';
import { withHeartbeat } from './steps/with-heartbeat.ts';

const MINUTE_MS = 60_000;
const WATCH_MS = 2_000;
/** The next sweep begins with the minute, and the watch must not have a hole. */
const BEFORE_NEXT_MS = 1_000;
/** Accounts at one look; what is more is next. */
const ACCOUNTS = 100;
/** Accounts whose charges for model calls are taken into account at one look. */
const ACCOUNTS_CHARGED = 1_000;
/** Budgets at one look, each with its key; what is more is next. */
const SPENDS = 500;
/** Model calls at one sweep; what is more is next. */
const LEFT_CALLS = 1_000;

/** How much a sweep did. */
export interface BillingSweep {
  lines: number;
  stopped: number;
  warned: number;
}

/**
 * Debits what is due, counts model calls that a relay left behind, and looks every two seconds, between batches of debits too, for accounts whose money has run out
 * or is about to, and for budgets. Goes on until one second before the next full minute. When this worker shuts down first, it finishes
 * what it is doing and fails with `worker_draining`, so that Temporal has another worker go on within the minute. A sweep that is missed, repeated
 * or late changes nothing but the time.
 */
export function sweepBilling(deps: StepDeps): Promise<BillingSweep> {
  const { clock, drain } = deps;
  return withHeartbeat(async (cancellation) => {
    const end = (Math.floor(clock().getTime() / MINUTE_MS) + 1) * MINUTE_MS - BEFORE_NEXT_MS;
    const signal = AbortSignal.any([cancellation, drain]);
    const done = await runRetryable(deps, 'sweepBilling', () => sweep(deps, signal, end));
    if (drain.aborted && clock().getTime() < end) throw stepFailure('worker_draining', { epoch: null, isRetryable: true });
    return done;
  });
}

async function sweep(deps: StepDeps, signal: AbortSignal, end: number): Promise<BillingSweep> {
  const { orm, clock, log } = deps;
  const done: BillingSweep = { lines: 0, stopped: 0, warned: 0 };
  let lookedAt = Number.NEGATIVE_INFINITY;
  const look = async (): Promise<void> => {
    if (performance.now() - lookedAt < WATCH_MS) return;
    lookedAt = performance.now();
    const { stopped, warned } = await watchMoney({ ...deps, now: await readDatabaseClock(orm.em.fork()), signal });
    done.stopped += stopped;
    done.warned += warned;
  };
  await look();
  const leftCalls = await settleLeftCalls(orm.em.fork(), { limit: LEFT_CALLS, now: null });
  if (leftCalls > 0) log.warn({ leftCalls }, 'model calls that a relay left behind are counted as reserved');
  done.lines = await debitDue(orm.em, { now: await readDatabaseClock(orm.em.fork()), signal, between: look });
  while (!signal.aborted && clock().getTime() < end) {
    await look();
    await sleep(WATCH_MS / 4, undefined, { signal }).catch(() => undefined);
  }
  if (done.lines + done.stopped + done.warned > 0) log.info(done, 'the billing sweep has completed');
  return done;
}

interface Watch {
  orm: MikroORM;
  makeId: MakeId;
  /** The database's time. */
  now: Date;
  signal: AbortSignal;
}

/** One look: stops what has run out of money or of a budget, and warns those whose money is about to. One account per transaction. */
export async function watchMoney({ orm, makeId, now, signal }: Watch): Promise<{ stopped: number; warned: number }> {
  let [stopped, warned] = [0, 0];
  await runTransaction(orm.em, (em) => reckonCharged(em, now, ACCOUNTS_CHARGED));
  for (const accountId of await listExhausted(orm.em.fork(), now, ACCOUNTS)) {
    if (signal.aborted) break;
    stopped += (await runTransaction(orm.em, (em) => stopExhausted(em, { accountId, now, makeId }))).length;
  }
  for (const accountId of await listLow(orm.em.fork(), now, ACCOUNTS)) {
    if (signal.aborted) break;
    warned += Number(await runTransaction(orm.em, (em) => warnLow(em, { accountId, now, makeId })));
  }
  stopped += await watchBudgets({ orm, makeId, now, signal });
  return { stopped, warned };
}

/** Looks at what is spent where that may be due, and stops what runs over a budget. Answers how many instances that were. */
async function watchBudgets({ orm, makeId, now, signal }: Watch): Promise<number> {
  let stopped = 0;
  for (const place of await listDueSpends(orm.em.fork(), now, SPENDS)) {
    if (signal.aborted) break;
    for (const instanceId of await runTransaction(orm.em, (em) => lookAtSpend(em, { ...place, now, makeId })))
      stopped += Number(await runTransaction(orm.em, (em) => stopOverBudget(em, { instanceId, now, makeId })));
  }
  return stopped;
}
