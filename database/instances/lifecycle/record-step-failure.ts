import type { EntityManager } from '@mikro-orm/postgresql';
import type { StepFailure } from '../../../domain/failures.ts';
import { STEP_FAILURES } from '../../../domain/failures.ts';
import type { MakeId } from '../../../domain/ids.ts';
import { afterDeath } from '../../../domain/lifecycle.ts';
import { findLifecycle } from './find-lifecycle.ts';
import { closeInterval } from '../../billing/intervals.ts';
import { recordAudit } from '../../accounts/record-audit.ts';
import { freeSlot } from '../slots.ts';
import { db } from '../../db.ts';
import { changeLifecycle } from './change-lifecycle.ts';

interface FailureOptions {
  instanceId: string;
  /** As the step that failed was decided on. */
  powerGeneration: number;
  failure: StepFailure;
  now: Date;
}

interface StartFailure extends FailureOptions {
  /** The highest epoch that has changed the runtime. */
  fence: number;
  /** Of the attempt that failed; null when it had not begun. */
  epoch: number | null;
  /** No further try is worth it, whatever the deaths say. */
  isLast: boolean;
}

/** What is to be done about a start that failed. */
export type FailedStart =
  | { kind: 'superseded' }
  | { kind: 'again' }
  /** It ends in `error`, once its compute and its turns have ended. */
  | { kind: 'give_up'; runtimeId: string; epoch: number };

/**
 * Counts a start that failed as a death of the gateway, once per attempt, and says in the row why and when it is tried
 * again. The epoch moves on, so that nothing of the failed attempt counts any more.
 */
export async function recordFailedStart(em: EntityManager, options: StartFailure): Promise<FailedStart> {
  const { instanceId, powerGeneration, epoch, fence, failure, isLast, now } = options;
  const row = await findLifecycle(em, instanceId, { lock: true });
  if (!row || row.powerGeneration !== powerGeneration || row.isGone) return { kind: 'superseded' };
  const isCounted = epoch !== null && row.epoch !== epoch;
  let { deaths } = row;
  let newest = row.epoch;
  if (!isCounted) {
    const failed = await changeLifecycle(em, { instanceId, happening: { kind: 'start-failed', failure, fence }, now });
    if (!failed) throw new Error('a locked instance is gone');
    ({ deaths, epoch: newest } = failed.after);
  }
  const isOver = afterDeath(deaths, now).giveUp || isLast || !STEP_FAILURES[failure].retryable || row.giveUpFor === failure;
  await closeInterval(em, instanceId);
  return isOver ? { kind: 'give_up', runtimeId: row.runtimeId, epoch: newest } : { kind: 'again' };
}

interface GiveUpOptions extends FailureOptions {
  epoch: number;
  maxRunning: number;
  makeId: MakeId;
}

/** Ends in `error`, in the caller's transaction, unless it was superseded. Its compute and its turns must have ended. */
export async function enterError(em: EntityManager, options: GiveUpOptions): Promise<boolean> {
  const { instanceId, epoch, powerGeneration, failure, now, maxRunning, makeId } = options;
  const ended = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'given-up', failure },
    now,
    allows: (row) => row.epoch === epoch && row.powerGeneration === powerGeneration,
  });
  if (!ended) return false;
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  await auditGivingUp(em, ended.before, instanceId, { now, makeId });
  return true;
}

async function auditGivingUp(
  em: EntityManager,
  { accountId }: { accountId: string },
  instanceId: string,
  { now, makeId }: { now: Date; makeId: MakeId },
): Promise<void> {
  await recordAudit(em, {
    id: makeId('aud'),
    accountId,
    instanceId,
    at: now,
    actor: 'system',
    action: 'instances.fail',
    target: instanceId,
    requestId: null,
    address: null,
  });
}

/** Says in the row why a step other than a start did not work; what it was about stays as it is. */
export async function recordFailedChange(
  em: EntityManager,
  { instanceId, powerGeneration, failure, now }: FailureOptions,
): Promise<void> {
  await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'change-failed', failure },
    now,
    allows: (row) => row.powerGeneration === powerGeneration && row.deletedAt === null,
  });
}

/**
 * Stops trying to bring the content of this generation to a gateway that does not take it: agents that it does not
 * have are in `error`. The next change of the content is tried again.
 */
export async function giveUpContent(
  em: EntityManager,
  { instanceId, powerGeneration, contentGeneration }: { instanceId: string; powerGeneration: number; contentGeneration: number },
): Promise<void> {
  const givenUp = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'content-given-up', contentGeneration },
    allows: (row) => row.powerGeneration === powerGeneration && row.appliedContentGeneration < contentGeneration,
  });
  if (!givenUp) return;
  await db(em)
    .updateTable('Agent')
    .set({ status: 'error' })
    .where('instance', '=', instanceId)
    .where('deletedAt', 'is', null)
    .where('status', '=', 'pending')
    .where('generation', '<=', contentGeneration)
    .execute();
  await db(em)
    .updateTable('InstanceSkill')
    .set({ status: 'error' })
    .where('instance', '=', instanceId)
    .where('status', '=', 'pending')
    .where('generation', '<=', contentGeneration)
    .execute();
}
