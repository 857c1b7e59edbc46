import type { EntityManager } from '@mikro-orm/postgresql';
import { nextLook, resetsAt } from '../../domain/money/budgets.ts';
import type { MakeId } from '../../domain/ids.ts';
import { recordNotice } from '../events/record-notice.ts';
import { IS_WANTED } from '../instances/lifecycle/lifecycle-sql.ts';
import { db } from '../db.ts';
import { sql } from '../sql.ts';
import { lockSpend } from './find-spend.ts';
import type { Spend, SpendPlace } from './find-spend.ts';
import { findRuntimeSpent } from './runtime-spent.ts';

interface Look extends SpendPlace {
  now: Date;
  makeId: MakeId;
}

interface Found {
  spend: Spend;
  runtime: bigint;
  burnPerHour: bigint;
  /** In all. */
  spent: bigint;
  periodEnd: Date | null;
}

/**
 * Counts what is spent of a budget anew, in the caller's transaction: tells the customer once that it is nearly used up and that it
 * is, and says when to look next. Answers what runs although the budget has no room for it: that is to be stopped, and until it is
 * the budget stays due for a look. Locks what is spent, then the account's event counter.
 */
export async function lookAtSpend(em: EntityManager, look: Look): Promise<string[]> {
  const { now } = look;
  const spend = await lockSpend(em, look);
  if (!spend) return [];
  const { isDeleted, coversRuntime } = spend;
  const found = await count(em, spend, now);
  const { spent, burnPerHour, periodEnd, runtime } = found;
  const isOver = isDeleted || (periodEnd !== null && periodEnd <= now);
  const hasReached = spent >= BigInt(spend.limit);
  const is = {
    isReached: spend.isReached || hasReached,
    isWarned: spend.isWarned || spent * 100n >= BigInt(spend.limit) * BigInt(spend.warnAt),
  };
  const running = hasReached && coversRuntime && !isOver ? await findRunning(em, spend) : [];
  if (isOver && !isDeleted && coversRuntime) await beginPeriod(em, spend, now);
  const after = nextLook({ ...found, ...is, limit: BigInt(spend.limit), warnAt: spend.warnAt, now });
  const lookAt = running.length > 0 ? now : isOver ? null : after;
  await save(em, look, { ...is, runtime, lookAt, burnPerHour: isOver ? 0n : burnPerHour });
  if (!isOver) await tell(em, look, found, is);
  return running;
}

/** What a budget of running time covers and is wanted to run. */
async function findRunning(em: EntityManager, { accountId, instanceId }: Spend): Promise<string[]> {
  const all = db(em)
    .selectFrom('Instance')
    .select('id')
    .where('account', '=', accountId)
    .where(sql<boolean>`(${IS_WANTED})`)
    .orderBy('id');
  const rows = await (instanceId === null ? all : all.where('id', '=', instanceId)).execute();
  return rows.map(({ id }) => id);
}

async function count(em: EntityManager, spend: Spend, now: Date): Promise<Found> {
  const { accountId, instanceId, period, periodStart, createdAt, tokens } = spend;
  const periodEnd = resetsAt(period, new Date(periodStart));
  const range = { from: new Date(Math.max(periodStart, createdAt)), to: periodEnd ?? now, now };
  const none = { nanoUsd: 0n, burnPerHour: 0n };
  const { nanoUsd, burnPerHour } = spend.coversRuntime ? await findRuntimeSpent(em, { accountId, instanceId, ...range }) : none;
  return { spend, runtime: nanoUsd, burnPerHour, spent: nanoUsd + BigInt(tokens), periodEnd };
}

interface Seen {
  runtime: bigint;
  burnPerHour: bigint;
  lookAt: Date | null;
  isWarned: boolean;
  isReached: boolean;
}

async function save(em: EntityManager, { budgetId, key, periodStart, now }: Look, seen: Seen): Promise<void> {
  await db(em)
    .updateTable('BudgetSpend')
    .set({ runtimeNanoUsd: seen.runtime, burnNanoUsdPerHour: seen.burnPerHour, lookedAt: now, lookAt: seen.lookAt })
    .set({ isWarned: seen.isWarned, isReached: seen.isReached })
    .where('budget', '=', budgetId)
    .where('key', '=', key)
    .where('periodStart', '=', new Date(periodStart))
    .execute();
}

/** What goes on running counts for the next period from its beginning on. */
async function beginPeriod(em: EntityManager, { budgetId, key, period }: Spend, now: Date): Promise<void> {
  await db(em)
    .insertInto('BudgetSpend')
    .values({ budget: budgetId, key, periodStart: sql<Date>`budget_period_start(${period}, ${now}::timestamptz)`, lookAt: now })
    .onConflict((conflict) =>
      conflict
        .columns(['budget', 'key', 'periodStart'])
        .doUpdateSet((eb) => ({ lookAt: eb.fn('least', ['BudgetSpend.lookAt', 'excluded.lookAt']) })),
    )
    .execute();
}

async function tell(
  em: EntityManager,
  { now, makeId }: Look,
  found: Found,
  is: Pick<Seen, 'isWarned' | 'isReached'>,
): Promise<void> {
  const { spend, spent, periodEnd } = found;
  const data = {
    ...{ budgetId: spend.budgetId, name: spend.name, key: spend.key === '' ? null : spend.key },
    ...{ spentNanoUsd: spent.toString(), limitNanoUsd: spend.limit, resetsAt: periodEnd?.toISOString() ?? null },
  };
  const notice = { accountId: spend.accountId, data, createdAt: now };
  if (is.isWarned && !spend.isWarned) await recordNotice(em, { ...notice, id: makeId('evt'), type: 'budget.warning' });
  if (is.isReached && !spend.isReached) await recordNotice(em, { ...notice, id: makeId('evt'), type: 'budget.reached' });
}
