import { dropConversation, dropHiddenMessages, hasMessages } from '../database/messages/conversations.ts';
import type { ConversationRemoval } from '../database/messages/conversations.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import { endTurns } from './end-turns.ts';
import type { TurnDeps } from './turn-deps.ts';
import { cancelledEnd } from './turn-end.ts';

type RemoveDeps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'maxStoredBytes'>;

const BATCH = 1_000;

/**
 * Removes a conversation that was deleted: ends the turns that have not ended, removes its messages, deletes its session
 * in the gateway, and removes its row. Returns false while the gateway must still abort one of its turns: call it again
 * then. It can be repeated. Throws GatewayRequestError and the signal's reason.
 */
export async function removeConversation(
  deps: RemoveDeps,
  gateway: Gateway,
  removal: ConversationRemoval,
  signal: AbortSignal,
): Promise<boolean> {
  const { conversationId, instanceId, agentIsDeleted } = removal;
  await endTurns(deps, { instanceId, conversationId }, cancelledEnd());
  const em = deps.orm.em.fork();
  while ((await dropHiddenMessages(em, { conversationId, limit: BATCH })) === BATCH) signal.throwIfAborted();
  if (await hasMessages(em, conversationId)) return false;
  if (!agentIsDeleted) await gateway.turns.forget(removal, signal);
  await dropConversation(em, conversationId);
  return true;
}
