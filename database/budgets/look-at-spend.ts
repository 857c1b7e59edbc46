import type { EntityManager } from '@mikro-orm/postgresql';
import { nextLook, resetsAt } from '../../domain/budgets.ts';
import type { MakeId } from '../../domain/ids.ts';
import { recordNotice } from '../events/record-notice.ts';
import { IS_WANTED } from '../instances/lifecycle-sql.ts';
import { query, run, sql } from '../sql.ts';
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
  const rows = await query<{ id: string }>(
    em,
    sql`select id from instances
      where account_id = ${accountId} and (${instanceId}::text is null or id = ${instanceId}) and ${IS_WANTED} order by id`,
  );
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
  await run(
    em,
    sql`update budget_spends
        set runtime_nano_usd = ${seen.runtime.toString()}::bigint, burn_nano_usd_per_hour = ${seen.burnPerHour.toString()}::bigint,
            looked_at = ${now}, look_at = ${seen.lookAt}::timestamptz, is_warned = ${seen.isWarned}, is_reached = ${seen.isReached}
      where budget_id = ${budgetId} and key = ${key} and period_start = to_timestamp(${periodStart}::float8 / 1000)`,
  );
}

/** What goes on running counts for the next period from its beginning on. */
async function beginPeriod(em: EntityManager, { budgetId, key, period }: Spend, now: Date): Promise<void> {
  await run(
    em,
    sql`insert into budget_spends as known (budget_id, key, period_start, look_at)
     values (${budgetId}, ${key}, budget_period_start(${period}, ${now}::timestamptz), ${now})
     on conflict (budget_id, key, period_start) do update set look_at = least(known.look_at, excluded.look_at)`,
  );
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
