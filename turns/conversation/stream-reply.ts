import type { TurnView } from '../../database/messages/find-turn.ts';
import type { ReplyPiece } from '../turn-feed.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { completedTurn } from './ended-reply.ts';
import type { SentMessage } from './ended-reply.ts';
import { orStillRunning } from './or-still-running.ts';

/** A piece of the reply as it comes, or, last, the turn that has ended with it: the reply is stored then. */
export type ReplyPart = ({ kind: 'text' } & ReplyPiece) | { kind: 'end'; turn: TurnView };

/** The followed reply in parts. Throws as completedTurn does, and NoReplyError; a turn that has not ended goes on then. */
export async function* streamReply(
  deps: Pick<ConversationDeps, 'orm'>,
  sent: SentMessage,
  turn: FollowedTurn,
  signal: AbortSignal,
): AsyncGenerator<ReplyPart, void, undefined> {
  try {
    for await (const piece of untilAborted(turn.deltas, sent, signal)) yield { kind: 'text', ...piece };
    yield { kind: 'end', turn: await completedTurn(deps, sent, await orStillRunning(turn.ended, sent, signal)) };
  } finally {
    turn.close();
  }
}

async function* untilAborted<T>(deltas: AsyncIterable<T>, sent: SentMessage, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = deltas[Symbol.asyncIterator]();
  for (;;) {
    const next = await orStillRunning(iterator.next(), sent, signal);
    if (next.done) return;
    yield next.value;
  }
}
