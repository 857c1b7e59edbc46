import { noteGatewayGone } from '../database/instances/lifecycle/finish-stop.ts';
import { handOverTurns } from '../database/messages/stamp-turns.ts';
import { drainTurns } from './drain-turns.ts';
import { endGateway, retireGateway } from './end-gateway.ts';
import { throwIfSuperseded, runStep } from './steps/run-step.ts';
import type { StepInput } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';
import { observeGateway } from '../runtime/observe-gateway.ts';
import { runTransaction } from '../database/run-transaction.ts';

const DRAIN_MS = 30_000;

/**
 * The first half of a restart: running turns get half a minute, then the gateway ends. What is left goes over to the
 * next gateway. The start step is the second half; the status stays `running`.
 */
export function restartInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'restart', input, async (attempt) => {
    const { instanceId, call, step } = attempt;
    await drainTurns(deps, attempt, DRAIN_MS);
    await retireGateway(deps, attempt, await observeGateway(deps.driver, attempt.runtimeId));
    await handOverTurns(deps.orm.em.fork(), instanceId);
    await endGateway(deps, attempt);
    const { restartGeneration } = step.row;
    const gone = { instanceId, epoch: call.epoch, restartGeneration };
    throwIfSuperseded(await runTransaction(deps.orm.em, (em) => noteGatewayGone(em, gone)));
  });
}
