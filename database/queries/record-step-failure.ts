import type { EntityManager } from '@mikro-orm/postgresql';
import type { StepFailure } from '../../domain/failures.ts';
import { gaveUpMessage, STEP_FAILURES } from '../../domain/failures.ts';
import type { MakeId } from '../../domain/ids.ts';
import { afterDeath } from '../../domain/lifecycle.ts';
import { noteFailedStart } from './failed-starts.ts';
import { findLifecycle } from './find-lifecycle.ts';
import type { InstanceLifecycle } from './find-lifecycle.ts';
import { closeInterval } from './intervals.ts';
import { recordAudit } from './record-audit.ts';
import { freeSlot } from './slots.ts';
import { query, run, sql } from '../sql.ts';

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
  | { kind: 'overtaken' }
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
  if (!row || row.powerGeneration !== powerGeneration || row.isGone) return { kind: 'overtaken' };
  const isCounted = epoch !== null && row.epoch !== epoch;
  const { recent, pauseMs, giveUp } = afterDeath(isCounted ? row.deaths : [...row.deaths, now], now);
  const { code, message, retryable } = STEP_FAILURES[failure];
  const isOver = giveUp || isLast || !retryable || row.giveUpFor === failure;
  const next = isCounted ? row.epoch : Math.max(row.epoch, fence) + 1;
  if (!isCounted)
    await run(
      em,
      sql`update instances
          set epoch = ${next}, deaths = ${`{${recent.map((at) => at.toISOString()).join(',')}}`}::timestamptz[], ${noteFailedStart(now)}, kill_first = true, boot_id = null, status = 'provisioning',
              start_not_before = ${now}::timestamptz + ${pauseMs}::int * interval '1 millisecond',
              transition_kind = case when transition_kind = 'starting' then 'starting' else 'recovering' end,
              transition_step = null, reason_code = ${code}, reason_message = ${message}, reason_at = ${now}, reason_retryable = ${retryable}
        where id = ${instanceId}`,
    );
  await closeInterval(em, instanceId);
  return isOver ? { kind: 'give_up', runtimeId: row.runtimeId, epoch: next } : { kind: 'again' };
}

interface GiveUpOptions extends FailureOptions {
  epoch: number;
  maxRunning: number;
  makeId: MakeId;
}

/** Ends in `error`, in the caller's transaction, unless it was overtaken. Its compute and its turns must have ended. */
export async function enterError(em: EntityManager, options: GiveUpOptions): Promise<boolean> {
  const { instanceId, epoch, powerGeneration, failure, now, maxRunning, makeId } = options;
  const row = await findLifecycle(em, instanceId, { lock: true });
  if (!row || row.epoch !== epoch || row.powerGeneration !== powerGeneration) return false;
  const { code, retryable } = STEP_FAILURES[failure];
  await run(
    em,
    sql`update instances
        set status = 'error', error_generation = power_generation, boot_id = null, kill_first = false, start_not_before = null,
            transition_kind = null, transition_started_at = null, transition_attempt = 0, transition_step = null,
            stopped_at = now(), reason_code = ${code}, reason_message = ${gaveUpMessage(failure)}, reason_at = ${now}, reason_retryable = ${retryable}
      where id = ${instanceId}`,
  );
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  await auditGivingUp(em, row, instanceId, { now, makeId });
  return true;
}

async function auditGivingUp(
  em: EntityManager,
  { accountId }: InstanceLifecycle,
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
  const { code, message, retryable } = STEP_FAILURES[failure];
  await run(
    em,
    sql`update instances set reason_code = ${code}, reason_message = ${message}, reason_at = ${now}, reason_retryable = ${retryable}
      where id = ${instanceId} and power_generation = ${powerGeneration} and deleted_at is null`,
  );
}

/**
 * Stops trying to bring the content of this generation to a gateway that does not take it: agents that it does not
 * have are in `error`. The next change of the content is tried again.
 */
export async function giveUpContent(
  em: EntityManager,
  { instanceId, powerGeneration, contentGeneration }: { instanceId: string; powerGeneration: number; contentGeneration: number },
): Promise<void> {
  const [row] = await query<{ id: string }>(
    em,
    sql`update instances set applied_content_generation = ${contentGeneration}, epoch = epoch + 1
      where id = ${instanceId} and power_generation = ${powerGeneration} and applied_content_generation < ${contentGeneration} returning id`,
  );
  if (!row) return;
  await run(
    em,
    sql`update agents set status = 'error'
      where instance_id = ${instanceId} and deleted_at is null and status = 'pending' and generation <= ${contentGeneration}`,
  );
  await run(
    em,
    sql`update instance_skills set status = 'error' where instance_id = ${instanceId} and status = 'pending' and generation <= ${contentGeneration}`,
  );
}
