import type { EntityManager } from '@mikro-orm/postgresql';
import { freeSlot } from '../slots.ts';
import { closeInterval, proveEnd } from '../../billing/intervals.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import type { ObservedGateway } from '../../../domain/observed-gateway.ts';

interface OfAttempt {
  instanceId: string;
  epoch: number;
}

/**
 * The gateway takes no messages any more and is about to be ended by us: its end is no death. Ends the meter, for good
 * where the gateway's state is known. With `killFirst` the next start ends the gateway, should this attempt not
 * get to it. False when a newer attempt has begun.
 */
export async function releaseGateway(
  em: EntityManager,
  {
    instanceId,
    epoch,
    observed = null,
    killFirst = false,
  }: OfAttempt & { observed?: ObservedGateway | null; killFirst?: boolean },
): Promise<boolean> {
  const released = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'released', killFirst },
    allows: (row) => row.epoch === epoch,
  });
  if (!released) return false;
  await closeInterval(em, instanceId);
  const { bootId } = released.before;
  if (bootId !== null && observed) await proveEnd(em, { instanceId, bootId, diedAt: observed.isAlive ? null : observed.diedAt });
  return true;
}

interface Stopped extends OfAttempt {
  powerGeneration: number;
  maxRunning: number;
}

/** The instance is stopped and its slot free, in the caller's transaction. False when it was superseded. */
export async function finishStop(
  em: EntityManager,
  { instanceId, epoch, powerGeneration, maxRunning }: Stopped,
): Promise<boolean> {
  const stopped = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'stopped' },
    allows: (row) => row.epoch === epoch && row.powerGeneration === powerGeneration,
  });
  if (!stopped) return false;
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  return true;
}

interface Gone extends OfAttempt {
  /** As the step read it: the next gateway process is newer. */
  restartGeneration: number;
}

/**
 * No gateway runs, and this attempt starts the next one: whatever restart was asked for is fulfilled by it, also when
 * another attempt adopts it, and no other may use the tokens of its agents. In the caller's transaction. False when a newer attempt has begun.
 */
export async function noteGatewayGone(em: EntityManager, { instanceId, epoch, restartGeneration }: Gone): Promise<boolean> {
  const noted = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'gateway-gone', restartGeneration },
    allows: (row) => row.epoch === epoch,
  });
  return noted !== null;
}
