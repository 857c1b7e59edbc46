import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';
import { freeSlot } from '../instances/slots.ts';
import { db } from '../db.ts';
import { findNode } from '../nodes/find-node.ts';
import { moveRuntime } from '../nodes/place-runtime.ts';

interface OfAttempt {
  instanceId: string;
  epoch: number;
}

/** The gateway of an instance that moves has ended, in the caller's transaction. False when a newer attempt has begun. */
export async function finishVacate(
  em: EntityManager,
  { instanceId, epoch, maxRunning }: OfAttempt & { maxRunning: number },
): Promise<boolean> {
  const happening = { kind: 'vacated' } as const;
  if (!(await changeLifecycle(em, { instanceId, happening, allows: (row) => row.epoch === epoch }))) return false;
  await freeSlot(em, instanceId, maxRunning);
  return true;
}

interface Moved extends OfAttempt {
  /** The runtime that it leaves. */
  from: string;
  /** The runtime that has its whole state. */
  to: string;
}

/**
 * Makes the runtime that has its state the one of the instance, in the caller's transaction; the one that it leaves is set aside by a sweep
 * of its node. False when a newer attempt has begun, or it moves elsewhere by now.
 */
export async function finishMove(em: EntityManager, { instanceId, epoch, from, to }: Moved): Promise<boolean> {
  const allows = (row: { epoch: number; moveRuntimeId: string | null }) => row.epoch === epoch && row.moveRuntimeId === to;
  const moved = await changeLifecycle(em, { instanceId, happening: { kind: 'moved' }, allows });
  if (!moved) return false;
  // The trigger of this update has the runtime point at the instance.
  await db(em).updateTable('Instance').set({ runtimeId: to }).where('id', '=', instanceId).execute();
  await db(em).updateTable('Runtime').set({ leftBy: null }).where('id', '=', to).execute();
  await db(em).updateTable('Runtime').set({ leftBy: instanceId }).where('id', '=', from).execute();
  const nodeId = await findNode(em, instanceId);
  if (nodeId !== null) await moveRuntime(em, { instanceId, nodeId });
  return true;
}

interface GivenUp {
  instanceId: string;
  /** As the step that failed was decided on. */
  powerGeneration: number;
}

/** The instance stays where it is, in the caller's transaction; what was copied is set aside by a sweep. */
export async function giveUpMove(em: EntityManager, { instanceId, powerGeneration }: GivenUp): Promise<void> {
  const allows = (row: { powerGeneration: number }) => row.powerGeneration === powerGeneration;
  await changeLifecycle(em, { instanceId, happening: { kind: 'move-given-up' }, allows });
}
