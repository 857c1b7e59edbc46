import { abortDue } from '../turns/abort-turn.ts';
import type { Attempt } from './steps/run-step.ts';
import { turnDepsOf } from './steps/step-deps.ts';
import type { StepDeps } from './steps/step-deps.ts';

const ABORT_MS = 5_000;

/** Has the gateway abort what was ended before it was done. It is about to end anyway, so that may fail. */
export async function abortTurns(deps: StepDeps, attempt: Attempt): Promise<void> {
  const { driver, connections, log } = deps;
  const { instanceId, runtimeId, signal } = attempt;
  if ((await driver.inspect(runtimeId)).status !== 'running') return;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(ABORT_MS)]);
  try {
    await abortDue(turnDepsOf(deps), await connections.get(runtimeId, patience), instanceId, patience);
  } catch (err) {
    signal.throwIfAborted();
    log.debug({ err, instanceId }, 'the ended turns could not be aborted in the gateway');
  }
}
