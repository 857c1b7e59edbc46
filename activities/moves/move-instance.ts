import { finishMove } from '../../database/moves/finish-move.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { wholeArchive } from '../../runtime/state-archive.ts';
import { askForState } from './ask-for-state.ts';
import { throwIfSuperseded, runStep } from '../steps/run-step.ts';
import type { StepInput } from '../steps/run-step.ts';
import type { StepDeps } from '../steps/step-deps.ts';
import { SupersededError } from '../steps/step-failure.ts';

/** Of one instance: no disk of an instance is as large. */
const MAX_STATE_BYTES = 64 * 1024 ** 3;

/**
 * The second half of a move, on the node that the instance moves to: copies its state to a runtime of this node, and makes that the
 * runtime of the instance once all of it is there. Until then the instance has the one that it leaves, whose state is only read.
 */
export function moveInstance(deps: StepDeps, input: StepInput): Promise<void> {
  return runStep(deps, 'move', input, async (attempt) => {
    const { instanceId, runtimeId, call, signal, step } = attempt;
    const { moveRuntimeId } = step.row;
    if (moveRuntimeId === null) throw new SupersededError('It moves nowhere any more');
    await attempt.enter('copying_state');
    const state = await askForState(deps, runtimeId, signal);
    if (state) await deps.driver.replaceState(moveRuntimeId, wholeArchive(state, { maxBytes: MAX_STATE_BYTES }), call);
    deps.connections.close(runtimeId);
    const moved = { instanceId, epoch: call.epoch, from: runtimeId, to: moveRuntimeId };
    throwIfSuperseded(await runTransaction(deps.orm.em, (em) => finishMove(em, moved)));
  });
}
