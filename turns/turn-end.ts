import type { TurnEnd, TurnFailure } from '../domain/turn.ts';
import { BUDGET_REACHED, reachedMessage } from '../domain/money/budgets.ts';
import type { NamedBudget } from '../domain/money/budgets.ts';
import { AppError } from '../domain/errors.ts';
import type { TurnView } from '../database/messages/find-turn.ts';
import type { TurnOutcome } from '../runtime/gateway/turn-results.ts';

/** A sleeping instance that is used again finds no free slot. */
export const NO_ROOM = 'The instance is waking, and the maximum number of instances is running. Send the message again later.';

/** The messages for the customer. The gateway's own error texts may contain internal names or parts of messages. */
const SENTENCES = {
  model_error:
    'The model did not answer. Send the message again. If that fails too, use a shorter conversation or an agent with another model.',
  agent_failed: 'The agent failed while it processed this message. Send the message again.',
  turn_timeout: 'The turn exceeded its time limit and was stopped. Split the task into several messages.',
  gateway_crashed:
    'The instance failed twice while it processed this message, so the message is not retried. Send the message again.',
  instance_stopped: 'The instance was stopped before the turn ended. Start the instance and send the message again.',
  budget_reached: 'A budget is used up. Raise its limit, then send the message again.',
  no_capacity: NO_ROOM,
  cancelled: 'The turn was cancelled.',
} as const satisfies Record<TurnFailure, string>;

/** Where more is known than the reason says. */
const DETAILS = {
  disk_full:
    'The disk of the instance is full, so the agent could not reply. Have the agent delete files, or ask the operator for a larger disk.',
  agent_damaged:
    'The gateway cannot read the data of this agent, so the agent could not reply. Delete the agent and create it again, or ask the operator to restore a backup.',
  answer_filtered: 'The model provider filtered the reply. Change the message before you send it again.',
} as const;

const LATER_SECONDS = 30;

const STOPPED_INSIDE = 'The turn was stopped inside the instance. Send the message again.';

/** The end of a turn that failed for this reason; `detail` says more about it. */
export function failedEnd(reason: Exclude<TurnFailure, 'cancelled'>, detail?: keyof typeof DETAILS): TurnEnd {
  return { status: 'failed', reason, message: detail ? DETAILS[detail] : SENTENCES[reason] };
}

/** The end of a turn whose next model call this budget had no room for. */
export function budgetEnd(budget: NamedBudget, now: Date): TurnEnd {
  return { status: 'failed', reason: BUDGET_REACHED, message: reachedMessage(budget, now) };
}

/** The end of a turn that its customer did not want any more. */
export function cancelledEnd(): TurnEnd {
  return { status: 'cancelled', message: SENTENCES.cancelled };
}

/** The end of a turn as its gateway reports it. What we cancel has ended before the gateway says so. */
export function endOfOutcome(outcome: TurnOutcome): TurnEnd {
  switch (outcome.kind) {
    case 'completed':
      return { status: 'completed', content: outcome.text, finishReason: outcome.finishReason };
    case 'failed':
      return failedEnd(outcome.reason);
    case 'cancelled':
      return { status: 'failed', reason: 'agent_failed', message: STOPPED_INSIDE };
  }
}

/** The error that a call which waits for this turn gets; null when it has its reply. A turn that is gone is null itself. */
export function errorOfTurn(turn: TurnView | null, messageId: string): AppError | null {
  if (turn === null) {
    const message = 'The instance was deleted before the turn ended.';
    return new AppError('instance_not_ready', message, {
      reason: 'destroying',
      messageId,
      retryable: false,
      retryAfterSeconds: 60,
    });
  }
  if (turn.status === 'completed') return null;
  if (turn.status === 'pending') throw new Error('the turn has not ended');
  const reason = turn.errorReason ?? 'agent_failed';
  if (reason === 'no_capacity')
    return new AppError('instance_not_ready', NO_ROOM, { reason, messageId, retryAfterSeconds: LATER_SECONDS });
  return new AppError('agent_error', turn.errorMessage ?? SENTENCES[reason], { reason, messageId });
}
