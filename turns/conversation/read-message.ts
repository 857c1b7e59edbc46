import type { EntityManager } from '@mikro-orm/postgresql';
import { findMessage } from '../../database/messages/find-messages.ts';
import type { MessageView } from '../../database/messages/find-messages.ts';
import { AppError } from '../../domain/errors.ts';
import type { OwnAgent } from './own-agent.ts';

/** One message of the agent: said to it, or by it, asked or not. Throws AppError `not_found`. */
export async function readMessage(em: EntityManager, { agentId }: OwnAgent, messageId: string): Promise<MessageView> {
  const message = await findMessage(em, agentId, messageId);
  if (!message) throw new AppError('not_found', 'Message not found');
  return message;
}
