import type { EntityManager } from '@mikro-orm/postgresql';
import type { ObservedGateway } from '../../../domain/observed-gateway.ts';
import { proveEnd } from '../../billing/intervals.ts';
import { db } from '../../db.ts';
import { changeLifecycle } from '../lifecycle/change-lifecycle.ts';
import { freeSlot } from '../slots.ts';

/** Settles the last interval of an instance whose gateway was observed after it had ended, in the caller's transaction. */
export async function proveLastEnd(em: EntityManager, instanceId: string, observed: ObservedGateway | null): Promise<void> {
  if (!observed) return;
  const last = await db(em)
    .selectFrom('RuntimeInterval')
    .select('bootId')
    .where('instance', '=', instanceId)
    .orderBy('startedAt', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (last) await proveEnd(em, { instanceId, bootId: last.bootId, diedAt: observed.isAlive ? null : observed.diedAt });
}

interface Asleep {
  instanceId: string;
  epoch: number;
  powerGeneration: number;
  /** Else it has ended. */
  isSuspended: boolean;
  maxRunning: number;
}

/** The gateway of a sleeper is suspended or has ended: its slot is free, in the caller's transaction. False when it was superseded. */
export async function finishSleep(
  em: EntityManager,
  { instanceId, epoch, powerGeneration, isSuspended, maxRunning }: Asleep,
): Promise<boolean> {
  const asleep = await changeLifecycle(em, {
    instanceId,
    happening: { kind: isSuspended ? 'gateway-suspended' : 'gateway-asleep' },
    allows: (row) => row.epoch === epoch && row.powerGeneration === powerGeneration,
  });
  if (!asleep) return false;
  await freeSlot(em, instanceId, maxRunning);
  return true;
}
