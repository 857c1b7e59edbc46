import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { Agent } from '../../database/entities/agent.ts';
import { Instance } from '../../database/entities/instance.ts';
import { findMessage } from '../../database/messages/find-messages.ts';
import type { MessageView } from '../../database/messages/find-messages.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { AppError } from '../../domain/errors.ts';
import { errorOfTurn } from '../turn-end.ts';

/** A message that was accepted for this agent, by the id of its reply. */
export interface SentMessage {
  agentId: string;
  messageId: string;
}

interface Deps {
  orm: MikroORM;
}

/** Whether an agent that may be deleted is still one of an instance that is not. */
async function isAgentKept(em: EntityManager, agentId: string): Promise<boolean> {
  const agent = await em.findOne(Agent, { id: agentId });
  return agent !== null && (await em.count(Instance, { id: agent.instance, desiredStatus: { $ne: 'destroyed' } })) > 0;
}

/** A turn that has ended with a reply. Throws AppError when there is none: agent_error, instance_not_ready, not_found. */
export async function completedTurn(
  { orm }: Deps,
  { agentId, messageId }: SentMessage,
  ended: TurnView | null,
): Promise<TurnView> {
  if (ended === null && (await isAgentKept(orm.em.fork(), agentId)))
    throw new AppError('not_found', 'The message was deleted before the agent replied.', { messageId });
  const error = errorOfTurn(ended, messageId);
  if (error?.reason === 'cancelled' && ended?.isDeleted)
    throw new AppError('not_found', 'The conversation was deleted before the agent replied.', { messageId });
  if (error?.reason === 'cancelled' && (await orm.em.fork().count(Agent, { id: agentId, deletedAt: null })) === 0)
    throw new AppError('not_found', 'The agent was deleted before it replied.', { messageId });
  if (error) throw error;
  if (ended === null) throw new Error('a turn that is gone has an error');
  return ended;
}

/** The reply of a turn that has ended. Throws as completedTurn does. */
export async function endedReply(deps: Deps, sent: SentMessage, ended: TurnView | null): Promise<MessageView> {
  await completedTurn(deps, sent, ended);
  const reply = await findMessage(deps.orm.em.fork(), sent.agentId, sent.messageId);
  if (!reply) throw errorOfTurn(null, sent.messageId) ?? new Error('a turn that is gone has an error');
  return reply;
}
