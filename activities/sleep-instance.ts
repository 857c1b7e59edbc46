import { finishSleep, proveLastEnd } from '../database/instances/sleep/finish-sleep.ts';
import { runTransaction } from '../database/run-transaction.ts';
import { observeGateway } from '../runtime/observe-gateway.ts';
import { abortTurns } from './abort-turns.ts';
import { endGateway, retireGateway } from './end-gateway.ts';
import { keepFiles } from './content/keep-files.ts';
import { throwIfSuperseded, runStep } from './steps/run-step.ts';
import type { Attempt, StepInput } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** Suspends the gateway of an instance that has fallen asleep, or else ends it. Storage stays, and so does what is wanted. */
export function sleepInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'sleep', input, async (attempt) => {
    const { orm, config, driver } = deps;
    const { instanceId, runtimeId, call, powerGeneration } = attempt;
    await abortTurns(deps, attempt);
    await keepFiles(deps, attempt);
    const observed = await observeGateway(driver, runtimeId);
    await runTransaction(orm.em, (em) => proveLastEnd(em, instanceId, observed));
    const isSuspended = await suspend(deps, attempt);
    if (!isSuspended) {
      await retireGateway(deps, attempt, observed);
      await endGateway(deps, attempt);
    }
    const options = { instanceId, epoch: call.epoch, powerGeneration, isSuspended, maxRunning: config.MAX_RUNNING };
    throwIfSuperseded(await runTransaction(orm.em, (em) => finishSleep(em, options)));
  });
}

/** False when it cannot be suspended, or is not to be: then it runs on. */
async function suspend({ driver, connections, config, log }: StepDeps, attempt: Attempt): Promise<boolean> {
  const { instanceId, runtimeId, call, step } = attempt;
  const { killFirst, restartGeneration, appliedRestartGeneration } = step.row;
  if (config.SUSPEND === 'off' || killFirst || restartGeneration > appliedRestartGeneration) return false;
  await attempt.enter('suspending_gateway');
  connections.close(runtimeId);
  const answer = await driver.suspend(runtimeId, call);
  if (answer !== 'suspended') log.info({ instanceId, because: answer }, 'the gateway of a sleeper is stopped, not suspended');
  return answer === 'suspended';
}
