import type { MikroORM } from '@mikro-orm/postgresql';
import { nextStep } from '../../domain/lifecycle.ts';
import { beginStep } from '../instances/lifecycle/begin-step.ts';
import { findLifecycle } from '../instances/lifecycle/find-lifecycle.ts';
import { takeSlot } from '../instances/slots.ts';
import { claimRuntime } from '../nodes/place-runtime.ts';
import { runTransaction } from '../run-transaction.ts';

interface ClaimedStart {
  instanceId: string;
  /** The node of the pool. */
  nodeId: number;
  /** Members that may be taken, as findClaimable found them. */
  claimable: readonly string[];
  maxRunning: number;
  now: Date;
}

/** A start that has begun with a gateway of the pool. */
export interface BegunClaim {
  runtimeId: string;
  epoch: number;
  powerGeneration: number;
}

/** Nothing of the transaction stays. */
class UnclaimedError extends Error {}

/**
 * Places an instance that was never started on this node, gives it a slot and one of these gateways, and begins its start, in
 * one transaction. Null, and nothing changed, when one of these cannot be had or its next step is another one.
 */
export async function beginClaimedStart(orm: MikroORM, options: ClaimedStart): Promise<BegunClaim | null> {
  const { instanceId, nodeId, claimable, maxRunning, now } = options;
  try {
    return await runTransaction(orm.em, async (em) => {
      const isHere = await claimRuntime(em, { instanceId, nodeId });
      const row = isHere ? await findLifecycle(em, instanceId, { lock: true }) : null;
      if (!row || row.epoch > 0 || row.startNotBefore !== null || nextStep(row) !== 'start') throw new UnclaimedError();
      if (!(await takeSlot(em, { instanceId, nodeId, maxRunning, now }))) throw new UnclaimedError();
      const { powerGeneration } = row;
      const begun = await beginStep(em, { instanceId, powerGeneration, step: 'start', fence: 0, claimable, now });
      if (begun.kind !== 'begun' || !begun.isClaimed) throw new UnclaimedError();
      return { runtimeId: begun.row.runtimeId, epoch: begun.epoch, powerGeneration };
    });
  } catch (error) {
    if (error instanceof UnclaimedError) return null;
    throw error;
  }
}
