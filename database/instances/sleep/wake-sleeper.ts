import type { EntityManager } from '@mikro-orm/postgresql';
import { isAsleep, nextStep } from '../../../domain/lifecycle.ts';
import { hasMoney } from '../../billing/find-balance.ts';
import { findUsedUp } from '../../budgets/find-used-up.ts';
import { db } from '../../db.ts';
import { epochMs, fromNow, NOW } from '../../sql.ts';
import { changeLifecycle } from '../lifecycle/change-lifecycle.ts';
import { findLifecycle } from '../lifecycle/find-lifecycle.ts';
import { IS_ASLEEP, IS_SUSPENDED } from '../lifecycle/lifecycle-sql.ts';

/** Has a sleeper start, in the caller's transaction. False, and nothing changed, when it does not sleep. Locks its row. */
export async function wakeSleeper(em: EntityManager, instanceId: string): Promise<boolean> {
  const woken = await changeLifecycle(em, { instanceId, happening: { kind: 'woken' }, allows: isAsleep });
  return woken !== null;
}

/** The same where a message waits for it. */
export async function wakeForTurns(em: EntityManager, instanceId: string): Promise<boolean> {
  const row = await findLifecycle(em, instanceId, { lock: true });
  return row !== null && nextStep(row) === 'wake' && wakeSleeper(em, instanceId);
}

/** Keeps an instance from falling asleep for the time after which it would have. */
export async function noteUse(em: EntityManager, instanceId: string): Promise<void> {
  await db(em)
    .updateTable('Instance')
    .set({ usedAt: NOW })
    .where('id', '=', instanceId)
    .where('sleepAfterMs', 'is not', null)
    .execute();
}

/** Sleepers whose next job is near, those that wait longest first. One that only has to be resumed wakes so much later. */
export async function findDueSleepers(
  em: EntityManager,
  { limit, suspendedLaterMs }: { limit: number; suspendedLaterMs: number },
): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('wakesAt', '<=', NOW)
    .where(IS_ASLEEP)
    .where((of) =>
      of.or([
        of('wakesAt', '<=', fromNow(-suspendedLaterMs)),
        of.not(IS_SUSPENDED),
        // It is started anew.
        of('restartGeneration', '>', of.ref('appliedRestartGeneration')),
      ]),
    )
    .orderBy('wakesAt')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

const WITHOUT_MONEY_MS = 60_000;

/**
 * Wakes a sleeper for its job, in the caller's transaction. Without money or budget it sleeps on and is looked at again a
 * minute later. True when it was woken.
 */
export async function wakeForJob(em: EntityManager, instanceId: string): Promise<boolean> {
  const sleeper = await db(em)
    .selectFrom('Instance')
    .select(['account as accountId', epochMs(NOW).as('nowMs')])
    .where('id', '=', instanceId)
    .where('wakesAt', '<=', NOW)
    .where(IS_ASLEEP)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (!sleeper) return false;
  const { accountId, nowMs } = sleeper;
  const isPaid = (await hasMoney(em, accountId)) && (await findUsedUp(em, { accountId, instanceId, now: null })) === null;
  if (isPaid) return wakeSleeper(em, instanceId);
  const wakesAt = new Date(nowMs + WITHOUT_MONEY_MS);
  await changeLifecycle(em, { instanceId, happening: { kind: 'wake-postponed', wakesAt } });
  return false;
}
