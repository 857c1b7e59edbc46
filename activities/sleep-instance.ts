import { finishSleep, proveLastEnd } from '../database/instances/finish-sleep.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { observeGateway } from '../runtime/observe-gateway.ts';
import { abortTurns } from './abort-turns.ts';
import { endGateway } from './end-gateway.ts';
import { keepFiles } from './keep-files.ts';
import { throwIfSuperseded, runStep } from './run-step.ts';
import type { StepInput } from './run-step.ts';
import type { StepDeps } from './step-deps.ts';

/** Ends the gateway of an instance that has fallen asleep. Storage stays, and so does what is wanted. */
export function sleepInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'sleep', input, async (attempt) => {
    const { orm, config, driver } = deps;
    const { instanceId, runtimeId, call, powerGeneration } = attempt;
    await abortTurns(deps, attempt);
    await keepFiles(deps, attempt);
    const observed = await observeGateway(driver, runtimeId);
    await runTransaction(orm.em, (em) => proveLastEnd(em, instanceId, observed));
    await endGateway(deps, attempt);
    const options = { instanceId, epoch: call.epoch, powerGeneration, maxRunning: config.MAX_RUNNING };
    throwIfSuperseded(await runTransaction(orm.em, (em) => finishSleep(em, options)));
  });
}
