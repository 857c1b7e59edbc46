import { findLiveNodes, findNode } from '../database/nodes/find-node.ts';
import { findLifecycle, findPowerGeneration } from '../database/instances/lifecycle/find-lifecycle.ts';
import { takeSlot } from '../database/instances/slots.ts';
import { wakeForTurns } from '../database/instances/sleep/wake-sleeper.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { nextStep } from '../domain/lifecycle.ts';
import type { WorkingStep } from '../domain/lifecycle.ts';
import { runRetryable } from './steps/run-retryable.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** What the reconciler does next. */
export interface Target {
  /** `wait`: nothing before waitMs are over. `none`: nothing until the workflow is woken. */
  step: WorkingStep | 'none' | 'wait';
  accountId: string;
  powerGeneration: number;
  contentGeneration: number;
  waitMs: number;
  /** The node whose workers do it; null: any. */
  nodeId: number | null;
}

const LONGEST_WAIT_MS = 10 * 60_000;

/**
 * Reads what brings an instance nearer to what is wanted. A start takes one of the slots of its node first; without one
 * the instance is marked as waiting and there is nothing to do: the transaction that frees a slot wakes it.
 */
export function readTarget(deps: StepDeps, { instanceId }: { instanceId: string }): Promise<Target> {
  const { orm, clock, config, nodeId } = deps;
  return runRetryable(deps, 'readTarget', () =>
    runTransaction(orm.em, async (em) => {
      await wakeForTurns(em, instanceId);
      const row = await findLifecycle(em, instanceId, { lock: true });
      if (!row) return { step: 'none', accountId: '', powerGeneration: 0, contentGeneration: 0, waitMs: 0, nodeId: null };
      const { accountId, powerGeneration, contentGeneration } = row;
      const answer = async (step: Target['step'], waitMs = 0): Promise<Target> => {
        const node = step === 'none' || step === 'wait' ? null : step === 'move' ? row.moveNode : await findNode(em, instanceId);
        return { step, accountId, powerGeneration, contentGeneration, waitMs, nodeId: node };
      };
      const step = nextStep(row);
      // The row is locked and was woken above.
      if (step === 'wake') throw new Error('a sleeper with a waiting message was not woken');
      if (step !== 'start' && step !== 'restart') return answer(step);
      const now = clock();
      const notBefore = step === 'start' ? row.startNotBefore : row.restartNotBefore;
      const pauseMs = notBefore ? notBefore.getTime() - now.getTime() : 0;
      if (pauseMs > 0) return answer('wait', Math.min(pauseMs, LONGEST_WAIT_MS));
      if (step === 'restart') return answer(step);
      if (await takeSlot(em, { instanceId, nodeId, maxRunning: config.MAX_RUNNING, now })) return answer(step);
      return answer('none');
    }),
  );
}

/** The nodes that have a worker. */
export function readNodes(deps: StepDeps): Promise<number[]> {
  return runRetryable(deps, 'readNodes', () => findLiveNodes(deps.orm.em.fork()));
}

/** The present power generation; 0 when there is no such instance. A sleeper that a message waits for is woken first. */
export function readPowerGeneration(deps: StepDeps, { instanceId }: { instanceId: string }): Promise<number> {
  return runRetryable(deps, 'readPowerGeneration', () =>
    runTransaction(deps.orm.em, async (em) => {
      await wakeForTurns(em, instanceId);
      return (await findPowerGeneration(em, instanceId)) ?? 0;
    }),
  );
}
