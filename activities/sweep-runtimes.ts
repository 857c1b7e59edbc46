import { findOwners } from '../database/instances/find-drift.ts';
import { findLeft } from '../database/moves/find-left.ts';
import { findPooled } from '../database/pool/members.ts';
import type { FoundUnowned } from '../database/stores/unowned-runtimes.ts';
import { askToDeleteOld, findAskedToDelete, noteUnowned, raiseTombstone } from '../database/stores/unowned-runtimes.ts';
import { StaleEpochError } from '../runtime/driver.ts';
import type { RuntimeState } from '../runtime/driver.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { runTransaction } from '../database/run-transaction.ts';

/** A runtime is made before its row could be missed, but a clock may be off. */
const LEAST_AGE_MS = 10 * 60_000;
/** So many runtimes without an instance may be an accident; more of them are a wrong or half restored database. */
const MOST_UNOWNED = 3;
const MOST_UNOWNED_SHARE = 0.05;
const GRACE_MS = 5_000;
const DAY_MS = 24 * 60 * 60_000;

/** What a sweep did to runtimes. */
export interface RuntimeSweep {
  /** Storage that was deleted: of deleted instances, or because that was asked for. */
  destroyed: number;
  quarantined: number;
  /** Set aside earlier, and owned by an instance again. */
  restored: number;
  /** Without an instance and left alone, because they are too many at once. */
  left: number;
}

interface Sorted {
  /** Their instance was deleted. */
  gone: string[];
  /** Quarantined, and owned by an instance. */
  ownedAgain: string[];
  /** No row has ever had them, as far as this database knows. */
  unowned: string[];
  /** Their instance has moved away, or was to move there and did not. */
  left: string[];
  quarantined: FoundUnowned[];
}

/**
 * Tidies up runtimes whose instance is gone. Storage is destroyed only where a deleted instance proves that it may be;
 * what no instance owns is stopped and quarantined. Too many of those at once mean that this is the wrong database:
 * then no runtime is touched, and an alarm is logged.
 */
export async function sweepRuntimes(
  deps: StepDeps,
  runtimes: readonly RuntimeState[],
  signal: AbortSignal,
): Promise<RuntimeSweep> {
  const { orm, nodeId, config, clock, log } = deps;
  const { gone, ownedAgain, unowned, left, quarantined } = await sort(deps, runtimes);
  const asked = await findAskedToDelete(orm.em.fork(), nodeId);
  for (const runtimeId of asked) await destroyAsked(deps, runtimeId, signal);
  const kept = unowned.filter((runtimeId) => !asked.includes(runtimeId));
  const aside = quarantined.filter(({ runtimeId }) => !asked.includes(runtimeId));
  const now = clock();
  for (const runtimeId of left) await quarantine(deps, runtimeId, { at: now, signal });
  const setAside = left.map((runtimeId) => ({ runtimeId, quarantinedAt: now }));
  const note = (found: readonly FoundUnowned[]) =>
    noteUnowned(orm.em.fork(), { nodeId, found: [...found, ...setAside, ...aside], now });
  if (unowned.length > Math.max(MOST_UNOWNED, runtimes.length * MOST_UNOWNED_SHARE)) {
    log.error(
      { unowned: unowned.length, runtimes: runtimes.length },
      'too many runtimes have no instance in this database, so the sweep changes none of them: check DATABASE_URL and DATA_DIR, or whether a restore is incomplete',
    );
    await note(kept.map((runtimeId) => ({ runtimeId, quarantinedAt: null })));
    return { destroyed: asked.length, quarantined: left.length, restored: 0, left: kept.length };
  }
  let destroyed = asked.length;
  for (const runtimeId of gone) destroyed += await destroyGone(deps, runtimeId, signal);
  for (const runtimeId of ownedAgain) await restore(deps, runtimeId, signal);
  for (const runtimeId of kept) await quarantine(deps, runtimeId, { at: now, signal });
  await note(kept.map((runtimeId) => ({ runtimeId, quarantinedAt: now })));
  await askToDeleteOld(orm.em.fork(), { before: new Date(now.getTime() - config.QUARANTINE_DAYS * DAY_MS), now });
  return { destroyed, quarantined: kept.length + left.length, restored: ownedAgain.length, left: 0 };
}

async function sort({ orm, driver, clock }: StepDeps, runtimes: readonly RuntimeState[]): Promise<Sorted> {
  const aside = await driver.listQuarantined();
  const ids = [...new Set([...runtimes, ...aside].map(({ runtimeId }) => runtimeId))];
  const owners = await findOwners(orm.em.fork(), ids);
  const isGone = new Map(owners.map((owner) => [owner.runtimeId, owner.isGone]));
  const isYoung = ({ startedAt }: RuntimeState) => startedAt !== null && clock().getTime() - startedAt.getTime() < LEAST_AGE_MS;
  const pooled = new Set(await findPooled(orm.em.fork(), ids));
  const moved = new Map((await findLeft(orm.em.fork(), ids)).map((found) => [found.runtimeId, found]));
  const isUnowned = (runtimeId: string) => !isGone.has(runtimeId) && !pooled.has(runtimeId);
  const isLeft = (runtimeId: string) => {
    const found = moved.get(runtimeId);
    return found !== undefined && !found.isGone && !found.isTarget && isUnowned(runtimeId);
  };
  return {
    gone: ids.filter((runtimeId) => isGone.get(runtimeId) ?? moved.get(runtimeId)?.isGone ?? false),
    left: runtimes.map(({ runtimeId }) => runtimeId).filter(isLeft),
    ownedAgain: aside.filter(({ runtimeId }) => isGone.get(runtimeId) === false).map(({ runtimeId }) => runtimeId),
    unowned: runtimes
      .filter((it) => isUnowned(it.runtimeId) && !moved.has(it.runtimeId) && !isYoung(it))
      .map(({ runtimeId }) => runtimeId),
    quarantined: aside.filter(({ runtimeId }) => isUnowned(runtimeId) && moved.get(runtimeId)?.isGone !== true),
  };
}

async function destroyAsked(deps: StepDeps, runtimeId: string, signal: AbortSignal): Promise<void> {
  deps.log.warn(
    { runtimeId },
    'deleting an unowned runtime, because an operator asked for it or its days in quarantine are over',
  );
  await deps.driver.destroy(runtimeId, await aboveFence(deps, runtimeId, signal));
}

async function destroyGone({ orm, driver, log }: StepDeps, runtimeId: string, signal: AbortSignal): Promise<number> {
  const fence = await driver.fenceOf(runtimeId);
  const epoch = await runTransaction(orm.em, (em) => raiseTombstone(em, { runtimeId, fence }));
  if (epoch === null) return 0;
  log.warn({ runtimeId }, 'destroying the runtime of a deleted instance');
  await driver.destroy(runtimeId, { epoch, signal });
  return 1;
}

async function restore({ driver, log }: StepDeps, runtimeId: string, signal: AbortSignal): Promise<void> {
  log.warn({ runtimeId }, 'restoring a quarantined runtime, because an instance owns it again');
  try {
    await driver.restore(runtimeId, { epoch: await driver.fenceOf(runtimeId), signal });
  } catch (error) {
    // A step of its instance works on it, and has put it back.
    if (!(error instanceof StaleEpochError)) throw error;
  }
}

async function quarantine(deps: StepDeps, runtimeId: string, { at, signal }: { at: Date; signal: AbortSignal }): Promise<void> {
  const { driver, log } = deps;
  log.warn({ runtimeId }, 'stopping and quarantining a runtime that no instance owns');
  const call = await aboveFence(deps, runtimeId, signal);
  await driver.stop(runtimeId, { graceMs: GRACE_MS }, call);
  await driver.quarantine(runtimeId, { at }, call);
}

/** No row has an epoch for what no instance owns. */
async function aboveFence(
  { driver }: StepDeps,
  runtimeId: string,
  signal: AbortSignal,
): Promise<{ epoch: number; signal: AbortSignal }> {
  return { epoch: (await driver.fenceOf(runtimeId)) + 1, signal };
}
