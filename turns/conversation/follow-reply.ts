import type { EntityManager } from '@mikro-orm/postgresql';
import { findReply } from '../../database/messages/find-reply.ts';
import { getTurn } from '../../database/messages/find-turn.ts';
import { AppError } from '../../domain/errors.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { SentMessage } from './ended-reply.ts';
import type { OwnAgent } from './own-agent.ts';
import { followEnded } from './replay-turn.ts';
import type { ReplyPlace } from './reply-place.ts';

/** A reply that was found to be one of the agent's. */
export interface OwnReply extends SentMessage {
  model: string;
  /** When the message that it answers was accepted, by the clock of the service. */
  acceptedAtMs: number;
  hasEnded: boolean;
}

/** The reply with this id, or to the message with this id. Throws AppError `not_found`. */
export async function findOwnReply(em: EntityManager, { agentId, model }: OwnAgent, messageId: string): Promise<OwnReply> {
  const reply = await findReply(em, agentId, messageId);
  if (!reply) throw new AppError('not_found', 'Message not found');
  return { agentId, model, messageId: reply.messageId, acceptedAtMs: reply.createdMs, hasEnded: reply.status !== 'pending' };
}

/** Follows a reply behind this place, whichever process sends its turn, also when it has ended. Sends nothing. */
export async function followReply(
  { orm, turnSender }: Pick<ConversationDeps, 'orm' | 'turnSender'>,
  { messageId, hasEnded }: OwnReply,
  after?: ReplyPlace,
): Promise<FollowedTurn> {
  const ended = hasEnded ? await getTurn(orm.em.fork(), messageId) : null;
  return ended ? followEnded(ended, after) : turnSender.follow(messageId, after);
}
