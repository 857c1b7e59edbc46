import type { EntityManager } from '@mikro-orm/postgresql';
import { storeTurn } from '../../database/messages/store-turn.ts';
import { completeReply } from '../../database/messages/complete-reply.ts';
import { traceIdOf } from '../accept-turn.ts';
import type { NewMessage } from './accept-message.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { ConversationActor, OwnAgent } from './own-agent.ts';

/**
 * Stores a message that its agent never gets, with a turn that has failed, so that history, events and streams tell of it. It
 * takes the caller's transaction, which holds this agent and must store no other one.
 */
export async function storeRefused(
  em: EntityManager,
  deps: Pick<ConversationDeps, 'turnSender' | 'makeId' | 'clock' | 'maxStoredBytes'>,
  { accountId, keyId }: ConversationActor,
  agent: OwnAgent,
  { text, sessionId = '', why }: Pick<NewMessage, 'text' | 'sessionId'> & { why: string },
): Promise<void> {
  const { makeId, maxStoredBytes } = deps;
  const { instanceId, agentId } = agent;
  const now = deps.clock();
  const replyMessageId = makeId('msg');
  await storeTurn(em, {
    ...{ accountId, instanceId, agentId, keyId, sessionId, text, now, replyMessageId, model: agent.model },
    ...{ mark: null, context: null, attachments: [], bootId: null, promised: null },
    sender: { type: 'human', id: accountId, name: agent.accountName },
    replySender: { type: 'agent', id: agent.slug, name: agent.displayName },
    newConversationId: makeId('conv'),
    requestMessageId: makeId('msg'),
    traceId: traceIdOf(replyMessageId),
    owner: deps.turnSender.owner(),
  });
  const end = { status: 'failed', reason: 'instance_stopped', message: why } as const;
  await completeReply(em, replyMessageId, end, { makeId, now, maxStoredBytes, abortDue: false });
}
