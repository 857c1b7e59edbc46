import type { FollowedTurn } from '../turn-sender.ts';
import type { AcceptedMessage } from './accept-message.ts';
import type { ConversationDeps } from './conversation-deps.ts';

/** Sends an accepted message whose transaction is committed, and follows its turn. Harmless to repeat. */
export function sendAccepted({ turnSender }: Pick<ConversationDeps, 'turnSender'>, accepted: AcceptedMessage): FollowedTurn {
  // First: what is being sent is not looked for.
  turnSender.send(accepted.messageId, accepted);
  return { ...turnSender.follow(accepted.messageId), isNew: true };
}
