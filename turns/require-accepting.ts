import type { InstanceGate } from '../database/messages/agent-gate.ts';
import { AppError } from '../domain/errors.ts';
import { takesMessages } from '../domain/lifecycle.ts';

const SOON_SECONDS = 5;
const LATER_SECONDS = 30;

/**
 * The gateway process of an instance that accepts work now. Throws AppError instance_not_ready, with what `sentence` says
 * of the reason.
 */
export function requireAccepting(gate: InstanceGate, sentence: (reason: string) => string): string {
  const { status, desiredStatus, transitionKind, bootId } = gate;
  if (bootId !== null && takesMessages(gate)) return bootId;
  const reason = transitionKind ?? (status === 'running' ? 'recovering' : status);
  throw new AppError('instance_not_ready', sentence(reason), {
    reason,
    retryAfterSeconds: desiredStatus === 'running' && status !== 'error' ? SOON_SECONDS : LATER_SECONDS,
  });
}
