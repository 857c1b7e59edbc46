import { setTimeout as sleep } from 'node:timers/promises';
import { countTurnsInFlight } from '../database/messages/pending-turns.ts';
import type { Attempt } from './steps/run-step.ts';
import type { StepDeps } from './steps/step-deps.ts';

const POLL_MS = 200;

/**
 * Waits until no turn runs on the gateway, for withinMs from the moment on at which the transition began, so that an
 * attempt after a crash waits for no longer. No head is sent meanwhile, because a transition is set.
 */
export async function drainTurns(deps: StepDeps, attempt: Attempt, withinMs: number): Promise<void> {
  const { orm, driver, clock } = deps;
  const { instanceId, runtimeId, signal, step } = attempt;
  if (step.row.bootId === null) return;
  await attempt.enter('draining');
  const end = step.transitionStartedAt.getTime() + withinMs;
  while (clock().getTime() < end) {
    if ((await countTurnsInFlight(orm.em.fork(), instanceId)) === 0) return;
    // Nothing ends any more when the gateway is gone.
    if ((await driver.inspect(runtimeId)).status !== 'running') return;
    await sleep(POLL_MS, undefined, { signal });
  }
}
