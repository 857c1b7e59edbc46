import type { EntityManager } from '@mikro-orm/postgresql';
import { hasMoney } from '../../database/billing/find-balance.ts';
import { AppError } from '../../domain/errors.ts';
import { acceptMessage } from '../../turns/conversation/accept-message.ts';
import type { AcceptedMessage, NewMessage } from '../../turns/conversation/accept-message.ts';
import type { ConversationActor, OwnAgent } from '../../turns/conversation/own-agent.ts';
import type { Deps } from '../deps.ts';
import { conversationDeps } from '../operations/messages/conversation.ts';

/** Accepts a message as acceptMessage does. Where an account without money gets no reply, it says so: `payment_required`. */
export async function say(
  em: EntityManager,
  deps: Deps,
  actor: ConversationActor,
  agent: OwnAgent,
  message: NewMessage,
): Promise<AcceptedMessage> {
  try {
    return await acceptMessage(em, conversationDeps(deps), actor, agent, message);
  } catch (error) {
    const isNotRunning = error instanceof AppError && error.code === 'instance_not_ready';
    if (!isNotRunning || (await hasMoney(em, actor.accountId))) throw error;
    throw new AppError('payment_required', 'The balance of the account is used up. Add credit, then send the message again.');
  }
}
