import type { FollowedTurn } from '../../../turns/turn-sender.ts';
import type { Deps } from '../../deps.ts';
import { presentMessage } from './message.schema.ts';
import { endedReply, orStillRunning } from './turn-answer.ts';
import type { SentTurn } from './turn-answer.ts';

interface Patience {
  timeoutMs: number;
  /** Aborts when nobody waits any longer. */
  signal: AbortSignal;
}

/** The reply once the turn has ended. Throws what the caller is told when it failed, or `timeout`; the turn goes on then. */
export async function awaitReply(deps: Deps, sent: SentTurn, turn: FollowedTurn, { timeoutMs, signal }: Patience) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const ended = await orStillRunning(turn.ended, sent, AbortSignal.any([signal, late.signal]));
    return presentMessage(await endedReply(deps, sent, ended));
  } finally {
    clearTimeout(timer);
    turn.close();
  }
}
