import type { EntityManager } from '@mikro-orm/postgresql';
import { nextStep } from '../../../domain/lifecycle.ts';
import type { WorkingStep } from '../../../domain/lifecycle.ts';
import { findLifecycle } from './find-lifecycle.ts';
import type { InstanceLifecycle } from './find-lifecycle.ts';
import { claimMember } from '../../pool/claim-member.ts';
import type { ClaimedRuntime } from '../../pool/claim-member.ts';
import { closeInterval } from '../../billing/intervals.ts';
import { changeLifecycle } from './change-lifecycle.ts';

export type BegunStep =
  /** `isClaimed`: its runtime comes from the pool, and was taken just now. */
  | { kind: 'begun'; row: InstanceLifecycle; epoch: number; isClaimed: boolean; transitionStartedAt: Date }
  /** An earlier attempt has done it. */
  | { kind: 'done' }
  /** Something else is wanted by now. */
  | { kind: 'superseded' };

interface BeginOptions {
  instanceId: string;
  /** As the step was decided on. */
  powerGeneration: number;
  step: WorkingStep;
  /** The highest epoch that has changed the runtime: higher than the row's after a restore of the database. */
  fence: number;
  /** Members of the pool that a start may take in place of a runtime that was never used. */
  claimable?: readonly string[];
  now: Date;
}

/**
 * The first write of every attempt of a step, in the caller's transaction: a new epoch, above the fence of the runtime
 * in one step, and the transition. From then on whatever an earlier attempt still does is refused. A start takes no messages until it is published.
 */
export async function beginStep(em: EntityManager, options: BeginOptions): Promise<BegunStep> {
  const { instanceId, powerGeneration, step, fence, now } = options;
  const found = await findLifecycle(em, instanceId, { lock: true });
  if (!found || found.powerGeneration !== powerGeneration) return { kind: 'superseded' };
  if (nextStep(found) !== step) return { kind: 'done' };
  const claimed = await claim(em, found, options);
  const row = claimed ? { ...found, runtimeId: claimed.runtimeId } : found;
  const happening = { kind: 'step-begun', step, fence: claimed?.epoch ?? fence } as const;
  const begun = await changeLifecycle(em, { instanceId, happening, now });
  if (!begun) throw new Error('a locked instance is gone');
  if (step === 'start') await closeInterval(em, instanceId);
  const { epoch, transitionStartedAt } = begun.after;
  return { kind: 'begun', row, epoch, isClaimed: claimed !== null, transitionStartedAt: transitionStartedAt ?? now };
}

/** Only for an instance of which nothing is stored anywhere: a gateway cannot take over the storage of another. */
async function claim(
  em: EntityManager,
  { epoch, accountId }: InstanceLifecycle,
  { instanceId, step, fence, claimable = [] }: BeginOptions,
): Promise<ClaimedRuntime | null> {
  if (step !== 'start' || epoch > 0 || fence > 0 || claimable.length === 0) return null;
  const claimed = await claimMember(em, { instanceId, accountId, runtimeIds: claimable });
  if (claimed) await changeLifecycle(em, { instanceId, happening: { kind: 'claimed', gatewayEpoch: claimed.epoch } });
  return claimed;
}

interface StepMark {
  instanceId: string;
  epoch: number;
  /** What the step does now, for `transition.step`. */
  step: string;
}

/** Says what the step does now, in the caller's transaction; false when a newer attempt has begun. */
export async function markStep(em: EntityManager, { instanceId, epoch, step }: StepMark): Promise<boolean> {
  const allows = (row: { epoch: number }) => row.epoch === epoch;
  return (await changeLifecycle(em, { instanceId, happening: { kind: 'step-moved', doing: step }, allows })) !== null;
}
