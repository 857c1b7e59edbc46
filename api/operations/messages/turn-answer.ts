import { findMessage } from '../../../database/messages/find-messages.ts';
import type { MessageView } from '../../../database/messages/find-messages.ts';
import { Agent } from '../../../database/entities/agent.ts';
import { AppError } from '../../../domain/errors.ts';
import { errorOfTurn } from '../../../turns/turn-end.ts';
import type { TurnView } from '../../../turns/turn-sender.ts';
import type { Deps } from '../../deps.ts';

export interface SentTurn {
  agentId: string;
  messageId: string;
}

/** A turn that has ended with a reply. Throws what the caller is told when there is none. */
export async function completedTurn(deps: Deps, { agentId, messageId }: SentTurn, ended: TurnView | null): Promise<TurnView> {
  const error = errorOfTurn(ended, messageId);
  if (error?.reason === 'cancelled' && (await deps.orm.em.fork().count(Agent, { id: agentId, deletedAt: null })) === 0)
    throw new AppError('not_found', 'The agent was deleted before it replied.', { messageId });
  if (error) throw error;
  if (ended === null) throw new Error('a turn that is gone has an error');
  return ended;
}

/** The reply of a turn that has ended. Throws what the caller is told when there is none. */
export async function endedReply(deps: Deps, sent: SentTurn, ended: TurnView | null): Promise<MessageView> {
  await completedTurn(deps, sent, ended);
  const reply = await findMessage(deps.orm.em.fork(), sent.agentId, sent.messageId);
  if (!reply) throw errorOfTurn(null, sent.messageId) ?? new Error('a turn that is gone has an error');
  return reply;
}

/** Nobody waits any longer; the turn goes on. */
export function stillRunning(messageId: string): AppError {
  return new AppError(
    'timeout',
    'The agent did not reply within the timeout; its turn continues. Do not send the message again: get the reply with GET .../messages/:messageId.',
    { messageId },
  );
}

/** What is awaited, or `timeout` when the signal says that nobody waits any longer. */
export function orStillRunning<T>(promise: Promise<T>, { messageId }: SentTurn, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(stillRunning(messageId));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
