import { endTurns } from '../turns/end-turns.ts';
import { turnDepsOf } from './steps/step-deps.ts';
import type { StepDeps } from './steps/step-deps.ts';

const MESSAGES = {
  instance_stopped: 'The instance was stopped before the agent replied. Start the instance and send the message again.',
  gateway_crashed:
    'The gateway process exited unexpectedly before the agent replied. Send the message again when the instance is running.',
} as const;

/** Ends every turn that is left, running or waiting. Nothing of it runs at a later start. */
export async function endLeftovers(deps: StepDeps, instanceId: string, reason: keyof typeof MESSAGES): Promise<void> {
  const count = await endTurns(turnDepsOf(deps), { instanceId }, { status: 'failed', reason, message: MESSAGES[reason] });
  if (count > 0) deps.log.info({ instanceId, count, reason }, 'turns were ended');
}
