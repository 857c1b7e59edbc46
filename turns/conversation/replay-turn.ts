import { Agent } from '../../database/entities/agent.ts';
import { getTurn } from '../../database/messages/find-turn.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { SentMessage } from './ended-reply.ts';
import { NoReplyError } from './no-reply.ts';

/** The turn of a message that is sent again, once it has ended. Throws NoReplyError: `pending`, `deleted`. */
export async function replayTurn({ orm }: Pick<ConversationDeps, 'orm'>, { agentId, messageId }: SentMessage): Promise<TurnView> {
  const em = orm.em.fork();
  const turn = await getTurn(em, messageId);
  if (!turn || (await em.count(Agent, { id: agentId, deletedAt: null })) === 0) throw new NoReplyError('deleted', messageId);
  if (turn.status === 'pending') throw new NoReplyError('pending', messageId);
  return turn;
}

/** An ended turn, followed as if it were under way: its whole text comes at once. */
export function followEnded(turn: TurnView): FollowedTurn {
  return { deltas: textOf(turn), ended: Promise.resolve(turn), close: () => undefined };
}

async function* textOf({ status, content }: TurnView): AsyncGenerator<string> {
  if (status === 'completed' && content !== '') yield content;
}
