import {
  enterError,
  giveUpContent,
  recordFailedChange,
  recordFailedStart,
} from '../../database/instances/lifecycle/record-step-failure.ts';
import { giveUpMove } from '../../database/moves/finish-move.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { StepFailure } from '../../domain/failures.ts';
import type { WorkingStep } from '../../domain/lifecycle.ts';
import { Context } from '@temporalio/activity';
import { endLeftovers } from '../end-leftovers.ts';
import { runRetryable } from './run-retryable.ts';
import { fenceOf } from './run-step.ts';
import type { StepInput } from './run-step.ts';
import type { StepDeps } from './step-deps.ts';

export interface FailedStep extends StepInput {
  step: WorkingStep;
  /** As the target was read. */
  contentGeneration: number;
  failure: StepFailure;
  /** Of the attempt that failed; null when that is not known. */
  epoch: number | null;
  /** The workflow has seen it fail too often to try once more. */
  isLast: boolean;
}

/**
 * Says in the row why a step failed. A start that failed counts as a death: it is tried again after a pause, or ends
 * in `error`, with its compute gone and its turns ended. Repeating it counts once.
 */
export function recordStepFailure(deps: StepDeps, failed: FailedStep): Promise<void> {
  return runRetryable(deps, 'recordStepFailure', async () => {
    if (failed.step === 'start') return failStart(deps, failed);
    const now = deps.clock();
    await runTransaction(deps.orm.em, async (em) => {
      await recordFailedChange(em, { ...failed, now });
      if (failed.step === 'apply' && failed.failure === 'agents_not_live' && failed.isLast) await giveUpContent(em, failed);
      if (failed.step === 'move' && failed.isLast) await giveUpMove(em, failed);
    });
  });
}

async function failStart(deps: StepDeps, failed: FailedStep): Promise<void> {
  const { orm, driver, connections, clock, config, makeId, log } = deps;
  const { instanceId, failure } = failed;
  const fence = await fenceOf(deps, instanceId);
  const outcome = await runTransaction(orm.em, (em) => recordFailedStart(em, { ...failed, fence, now: clock() }));
  if (outcome.kind !== 'give_up') return;
  const { runtimeId, epoch } = outcome;
  connections.close(runtimeId);
  await driver.stop(runtimeId, { graceMs: 0 }, { epoch, signal: Context.current().cancellationSignal });
  await endLeftovers(deps, instanceId, 'gateway_crashed');
  const options = { ...failed, epoch, now: clock(), maxRunning: config.MAX_RUNNING, makeId };
  if (await runTransaction(orm.em, (em) => enterError(em, options)))
    log.warn({ instanceId, failure }, 'an instance now has the status error');
}
