import type { EntityManager } from '@mikro-orm/postgresql';
import { findAbortDue } from '../../database/messages/abort-due.ts';
import { completeReply } from '../../database/messages/complete-reply.ts';
import { findMessage } from '../../database/messages/find-messages.ts';
import type { MessageView } from '../../database/messages/find-messages.ts';
import { lockReply } from '../../database/messages/lock-reply.ts';
import { AppError } from '../../domain/errors.ts';
import { abortEndedTurn } from '../abort-turn.ts';
import { cancelledEnd } from '../turn-end.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { OwnAgent } from './own-agent.ts';

const ABORT_MS = 5_000;

/**
 * Ends the waiting or running turn of this message, or of this reply, as cancelled, in the caller's transaction, and
 * answers the reply: call abortCancelled with its id once that is committed. Throws AppError: not_found, conflict when the turn has ended already.
 */
export async function cancelMessage(
  em: EntityManager,
  { makeId, clock, maxStoredBytes }: Pick<ConversationDeps, 'makeId' | 'clock' | 'maxStoredBytes'>,
  { agentId }: OwnAgent,
  messageId: string,
): Promise<MessageView> {
  const reply = await lockReply(em, agentId, messageId);
  if (!reply) throw new AppError('not_found', 'Message not found');
  const options = { makeId, now: clock(), maxStoredBytes, abortDue: reply.isSent };
  if (!(await completeReply(em, reply.id, cancelledEnd(), options)))
    throw new AppError('conflict', 'This turn has already ended and cannot be cancelled.', { messageId: reply.id });
  const ended = await findMessage(em, agentId, reply.id);
  if (!ended) throw new Error('a reply that was locked is gone');
  return ended;
}

/**
 * Has the gateway abort a turn that was ended before it ended there, if there is anything to abort. When that cannot be
 * done now, the watcher of its instance goes on trying. Never rejects for it.
 */
export async function abortCancelled(
  deps: Pick<ConversationDeps, 'orm' | 'connections' | 'log' | 'turnTimeoutMs'>,
  messageId: string,
): Promise<void> {
  const { orm, connections, log } = deps;
  const due = await findAbortDue(orm.em.fork(), messageId);
  if (!due) return;
  const signal = AbortSignal.timeout(ABORT_MS);
  try {
    await abortEndedTurn(deps, await connections.get(due.runtimeId, signal), due, signal);
  } catch (err) {
    log.debug({ err, messageId }, 'could not abort a cancelled turn in the gateway; the watcher tries again');
  }
}
