import { finishStop } from '../database/instances/lifecycle/finish-stop.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { observeGateway } from '../runtime/observe-gateway.ts';
import { abortTurns } from './abort-turns.ts';
import { drainTurns } from './drain-turns.ts';
import { endGateway, retireGateway } from './end-gateway.ts';
import { endLeftovers } from './end-leftovers.ts';
import { keepFiles } from './content/keep-files.ts';
import { throwIfSuperseded, runStep } from './steps/run-step.ts';
import type { StepInput } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';

const DRAIN_MS = 60_000;

/** Stops an instance: its running turns get a minute, what is left is ended, and its gateway goes. Storage stays. */
export function stopInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'stop', input, async (attempt) => {
    const { orm, config } = deps;
    const { instanceId, call, powerGeneration } = attempt;
    await drainTurns(deps, attempt, DRAIN_MS);
    await attempt.enter('ending_turns');
    await endLeftovers(deps, instanceId, 'instance_stopped');
    await abortTurns(deps, attempt);
    await keepFiles(deps, attempt);
    await retireGateway(deps, attempt, await observeGateway(deps.driver, attempt.runtimeId));
    await endGateway(deps, attempt);
    // Once more: what the gateway refused while it ended.
    await endLeftovers(deps, instanceId, 'instance_stopped');
    const options = { instanceId, epoch: call.epoch, powerGeneration, maxRunning: config.MAX_RUNNING };
    throwIfSuperseded(await runTransaction(orm.em, (em) => finishStop(em, options)));
  });
}
