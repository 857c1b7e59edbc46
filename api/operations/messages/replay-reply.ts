import { Agent } from '../../../database/entities/agent.ts';
import { getTurn } from '../../../database/messages/find-turn.ts';
import type { TurnView } from '../../../database/messages/find-turn.ts';
import { AppError } from '../../../domain/errors.ts';
import type { FollowedTurn } from '../../../turns/turn-sender.ts';
import type { Deps } from '../../deps.ts';
import { EventStream } from '../../http/event-stream.ts';
import { presentMessage } from './message.schema.ts';
import { streamReply } from './stream-reply.ts';
import type { StreamedTurn } from './stream-reply.ts';
import { endedReply } from './turn-answer.ts';

const SOON_SECONDS = 2;

/**
 * What the same message answers when it is sent again: the reply, or why there is none. Throws `conflict` while its turn
 * has not ended, `not_found` when it is gone.
 */
export async function replayReply(deps: Deps, sent: StreamedTurn, { stream, signal }: { stream: boolean; signal: AbortSignal }) {
  const turn = await findTurn(deps, sent);
  if (turn.status === 'pending')
    throw new AppError('conflict', 'The message with this Idempotency-Key has no reply yet. Try again in a moment.', {
      messageId: turn.messageId,
      retryable: true,
      retryAfterSeconds: SOON_SECONDS,
    });
  if (stream) return new EventStream(streamReply(deps, sent, endedTurn(turn), signal));
  return presentMessage(await endedReply(deps, sent, turn));
}

async function findTurn({ orm }: Deps, { agentId, messageId }: StreamedTurn): Promise<TurnView> {
  const em = orm.em.fork();
  const turn = await getTurn(em, messageId);
  if (!turn || (await em.count(Agent, { id: agentId, deletedAt: null })) === 0)
    throw new AppError('not_found', 'The message with this Idempotency-Key was deleted.', { messageId });
  return turn;
}

/** Followed as if it were under way: its whole text comes at once. */
function endedTurn(turn: TurnView): FollowedTurn {
  return { deltas: textOf(turn), ended: Promise.resolve(turn), close: () => undefined };
}

async function* textOf({ status, content }: TurnView): AsyncGenerator<string> {
  if (status === 'completed' && content !== '') yield content;
}
