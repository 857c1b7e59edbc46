import type { EntityManager } from '@mikro-orm/postgresql';
import { listAbortDueIn } from '../../database/messages/abort-due.ts';
import { hideConversation } from '../../database/messages/conversations.ts';
import { AppError } from '../../domain/errors.ts';
import { endTurns } from '../end-turns.ts';
import { cancelledEnd } from '../turn-end.ts';
import { abortCancelled } from './cancel-message.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { OwnAgent } from './own-agent.ts';

export interface DeletedConversation {
  conversationId: string;
  instanceId: string;
}

/**
 * Deletes a conversation of this agent, by its id or by its session id, in the caller's transaction: from its commit on
 * nothing of it is found, and a message with its session id begins another one. Call endDeleted after the commit. Throws AppError `not_found`.
 */
export async function deleteConversation(
  em: EntityManager,
  { clock }: Pick<ConversationDeps, 'clock'>,
  { agentId, instanceId }: OwnAgent,
  name: string,
): Promise<DeletedConversation> {
  const conversationId = await hideConversation(em, { agentId, name, now: clock() });
  if (conversationId === null) throw new AppError('not_found', 'Conversation not found');
  return { conversationId, instanceId };
}

/**
 * Ends the turns of a deleted conversation. When this process dies before it has, the watcher of the instance does it.
 * It can be repeated.
 */
export async function endDeleted(deps: ConversationDeps, { conversationId, instanceId }: DeletedConversation): Promise<void> {
  await endTurns(deps, { instanceId, conversationId }, cancelledEnd());
}

/** Has the gateway abort the running turn of a deleted conversation, as abortCancelled does. Does not reject when the gateway fails. */
export async function abortDeleted(deps: ConversationDeps, { conversationId }: DeletedConversation): Promise<void> {
  for (const { messageId } of await listAbortDueIn(deps.orm.em.fork(), conversationId)) await abortCancelled(deps, messageId);
}
