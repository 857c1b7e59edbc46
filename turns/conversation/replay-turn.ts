import { Agent } from '../../database/entities/agent.ts';
import { getTurn } from '../../database/messages/find-turn.ts';
import type { TurnView } from '../../database/messages/find-turn.ts';
import { replyAfter } from '../turn-feed.ts';
import type { ReplyPiece } from '../turn-feed.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import type { SentMessage } from './ended-reply.ts';
import { NoReplyError } from './no-reply.ts';
import type { ReplyPlace } from './reply-place.ts';

/** The turn of a message that is sent again, once it has ended. Throws NoReplyError: `pending`, `deleted`. */
export async function replayTurn(deps: Pick<ConversationDeps, 'orm'>, sent: SentMessage): Promise<TurnView> {
  const turn = await requireStored(deps, sent);
  if (turn.status === 'pending') throw new NoReplyError('pending', sent.messageId);
  return turn;
}

/** The turn of a message that is sent again, ended or not. Throws NoReplyError `deleted`. */
export async function requireStored(
  { orm }: Pick<ConversationDeps, 'orm'>,
  { agentId, messageId }: SentMessage,
): Promise<TurnView> {
  const em = orm.em.fork();
  const turn = await getTurn(em, messageId);
  if (!turn || turn.isDeleted || (await em.count(Agent, { id: agentId, deletedAt: null })) === 0)
    throw new NoReplyError('deleted', messageId);
  return turn;
}

/** An ended turn, followed as if it were under way: its whole text behind this place comes at once. */
export function followEnded(turn: TurnView, after?: ReplyPlace): FollowedTurn {
  const followed = { ended: Promise.resolve(turn), close: () => undefined };
  return { deltas: textOf(turn, after), activity: textOf(turn, after), ...followed };
}

async function* textOf(turn: TurnView, after: ReplyPlace | undefined): AsyncGenerator<ReplyPiece> {
  if (turn.status === 'completed') yield* replyAfter(turn, after);
}
