import type { TurnView } from '../database/messages/find-turn.ts';
import { completeReply } from '../database/messages/complete-reply.ts';
import { lockTurn } from '../database/messages/lock-turn.ts';
import { listPendingIds } from '../database/messages/pending-turns.ts';
import type { TurnsOf } from '../database/messages/pending-turns.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { TurnEnd } from '../domain/turn.ts';
import type { TurnDeps } from './turn-deps.ts';

type EndDeps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'maxStoredBytes'>;

/** Ends a turn as its gateway says that it ended, and answers it as it is then. Null when any process has ended it already, or it is gone. */
export async function endTurn(deps: EndDeps, messageId: string, end: TurnEnd): Promise<TurnView | null> {
  const { orm, makeId, clock, maxStoredBytes } = deps;
  const options = { makeId, now: clock(), maxStoredBytes, abortDue: false };
  return runTransaction(orm.em, (em) => completeReply(em, messageId, end, options));
}

/**
 * Ends a turn that its gateway has not ended. If it was ever sent it is marked in the same transaction, so that
 * the holder of the instance's shard has the gateway abort it, and no re-run of it is ever reported.
 */
export async function endTurnFirst(deps: EndDeps, messageId: string, end: TurnEnd): Promise<'ended' | 'was-ended' | 'gone'> {
  const { orm, makeId, clock, maxStoredBytes } = deps;
  return runTransaction(orm.em, async (em) => {
    const turn = await lockTurn(em, messageId);
    if (!turn) return 'gone';
    const abortDue = turn.attempt > 0;
    const ended = await completeReply(em, messageId, end, { makeId, now: clock(), maxStoredBytes, abortDue });
    return ended ? 'ended' : 'was-ended';
  });
}

/**
 * Ends every pending turn of an instance, an agent or a conversation, running or waiting, one per transaction, and says how many. The
 * caller has made sure that no new one is accepted. What was sent is to be aborted afterwards: see abortDue.
 */
export async function endTurns(deps: EndDeps, of: TurnsOf, end: TurnEnd): Promise<number> {
  let count = 0;
  for (const messageId of await listPendingIds(deps.orm.em.fork(), of)) {
    if ((await endTurnFirst(deps, messageId, end)) === 'ended') count += 1;
  }
  return count;
}
