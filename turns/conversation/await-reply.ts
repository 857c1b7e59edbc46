import type { MessageView } from '../../database/messages/find-messages.ts';
import type { FollowedTurn } from '../turn-sender.ts';
import type { ConversationDeps } from './conversation-deps.ts';
import { endedReply } from './ended-reply.ts';
import type { SentMessage } from './ended-reply.ts';
import { orStillRunning } from './or-still-running.ts';

interface Patience {
  timeoutMs: number;
  /** Aborts when the caller waits no longer. */
  signal: AbortSignal;
}

/** The reply once the turn has ended. Throws as endedReply does, and NoReplyError `still_running`; the turn goes on then. */
export async function awaitReply(
  deps: Pick<ConversationDeps, 'orm'>,
  sent: SentMessage,
  turn: FollowedTurn,
  { timeoutMs, signal }: Patience,
): Promise<MessageView> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const ended = await orStillRunning(turn.ended, sent, AbortSignal.any([signal, late.signal]));
    return await endedReply(deps, sent, ended);
  } finally {
    clearTimeout(timer);
    turn.close();
  }
}
