import { finishVacate } from '../../database/moves/finish-move.ts';
import { handOverTurns } from '../../database/messages/stamp-turns.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { observeGateway } from '../../runtime/observe-gateway.ts';
import { drainTurns } from '../drain-turns.ts';
import { endGateway, retireGateway } from '../end-gateway.ts';
import { keepFiles } from '../content/keep-files.ts';
import { throwIfSuperseded, runStep } from '../steps/run-step.ts';
import type { StepInput } from '../steps/run-step.ts';
import type { StepDeps } from '../steps/step-deps.ts';

const DRAIN_MS = 30_000;

/**
 * The first half of a move, on the node that the instance leaves: its gateway ends as for a restart, and its slot is free. What is left
 * of its turns goes over to the gateway that is started on the other node.
 */
export function vacateInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'vacate', input, async (attempt) => {
    const { instanceId, call } = attempt;
    await drainTurns(deps, attempt, DRAIN_MS);
    await keepFiles(deps, attempt);
    await retireGateway(deps, attempt, await observeGateway(deps.driver, attempt.runtimeId));
    await handOverTurns(deps.orm.em.fork(), instanceId);
    await endGateway(deps, attempt);
    const vacated = { instanceId, epoch: call.epoch, maxRunning: deps.config.MAX_RUNNING };
    throwIfSuperseded(await runTransaction(deps.orm.em, (em) => finishVacate(em, vacated)));
  });
}
