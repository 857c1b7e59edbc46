import type { EntityManager } from '@mikro-orm/postgresql';
import { nextStep } from '../../domain/lifecycle.ts';
import type { InstanceStatus, Step, TransitionKind } from '../../domain/lifecycle.ts';
import { findLifecycle } from './find-lifecycle.ts';
import type { InstanceLifecycle } from './find-lifecycle.ts';
import { closeInterval } from './intervals.ts';
import { query, sql } from '../sql.ts';

/** A step that changes something. */
export type WorkingStep = Exclude<Step, 'none'>;

export type BegunStep =
  | { kind: 'begun'; row: InstanceLifecycle; epoch: number; transitionStartedAt: Date }
  /** An earlier attempt has done it. */
  | { kind: 'done' }
  /** Something else is wanted by now. */
  | { kind: 'overtaken' };

interface BeginOptions {
  instanceId: string;
  /** As the step was decided on. */
  powerGeneration: number;
  step: WorkingStep;
  /** The highest epoch that has changed the runtime: higher than the row's after a restore of the database. */
  fence: number;
  now: Date;
}

/**
 * The first write of every attempt of a step, in the caller's transaction: a new epoch, above the fence of the runtime
 * in one step, and the transition. From then on whatever an earlier attempt still does is refused. A start takes no messages until it is published.
 */
export async function beginStep(em: EntityManager, options: BeginOptions): Promise<BegunStep> {
  const { instanceId, powerGeneration, step, fence, now } = options;
  const row = await findLifecycle(em, instanceId, { lock: true });
  if (!row || row.powerGeneration !== powerGeneration) return { kind: 'overtaken' };
  if (nextStep(row) !== step) return { kind: 'done' };
  const kind = step === 'apply' ? null : await transitionOf(em, instanceId, step);
  const status: InstanceStatus = step === 'start' && kind !== 'restarting' ? 'provisioning' : row.status;
  const epoch = Math.max(row.epoch, fence) + 1;
  const [begun] = await query<{ startedAt: number | null }>(
    em,
    sql`update instances
        set epoch = ${epoch}, status = ${status}, boot_id = case when ${step === 'start'}::boolean then null else boot_id end,
            transition_started_at = case when transition_kind is not distinct from ${kind}::text then transition_started_at else ${kind === null ? null : now}::timestamptz end,
            transition_attempt = case when transition_kind is not distinct from ${kind}::text then transition_attempt else 0 end + ${kind === null ? 0 : 1}::int,
            transition_kind = ${kind}, transition_step = null, queued_at = null
      where id = ${instanceId}
     returning (extract(epoch from transition_started_at) * 1000)::float8 as "startedAt"`,
  );
  if (step === 'start') await closeInterval(em, instanceId);
  return { kind: 'begun', row, epoch, transitionStartedAt: new Date(begun?.startedAt ?? now) };
}

/** A start goes on with the transition that it belongs to; one that nobody asked for is a recovery. */
async function transitionOf(em: EntityManager, instanceId: string, step: Exclude<WorkingStep, 'apply'>): Promise<TransitionKind> {
  if (step === 'stop') return 'stopping';
  if (step === 'destroy') return 'destroying';
  if (step === 'restart') return 'restarting';
  const [row] = await query<{ kind: TransitionKind | null }>(
    em,
    sql`select transition_kind as kind from instances where id = ${instanceId}`,
  );
  return row?.kind === 'starting' || row?.kind === 'restarting' ? row.kind : 'recovering';
}

interface StepMark {
  instanceId: string;
  epoch: number;
  /** What the step does now, for `transition.step`. */
  step: string;
}

/** Says what the step does now; false when a newer attempt has begun. */
export async function markStep(em: EntityManager, { instanceId, epoch, step }: StepMark): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update instances set transition_step = ${step} where id = ${instanceId} and epoch = ${epoch} returning id`,
  );
  return rows.length > 0;
}
