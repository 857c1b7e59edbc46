import { findAbortDue } from '../database/messages/abort-due.ts';
import { AppError } from '../domain/errors.ts';
import { abortEndedTurn } from './abort-turn.ts';
import { endTurnFirst } from './end-turns.ts';
import type { GatewayConnections } from './gateway-connections.ts';
import type { TurnDeps } from './turn-deps.ts';
import { cancelledEnd } from './turn-end.ts';

const ABORT_MS = 5_000;

type CancelDeps = TurnDeps & { connections: GatewayConnections };

/**
 * Ends a waiting or running turn as cancelled, and then has its gateway abort it; if that cannot be done now, the
 * watcher of its instance goes on trying. Throws AppError: not_found, conflict when it has ended already.
 */
export async function cancelTurn(deps: CancelDeps, messageId: string): Promise<void> {
  const result = await endTurnFirst(deps, messageId, cancelledEnd());
  if (result === 'gone') throw new AppError('not_found', 'Message not found');
  if (result === 'was-ended')
    throw new AppError('conflict', 'This turn has already ended and cannot be cancelled.', { messageId });
  await abortIfDue(deps, messageId);
}

/** Has the gateway abort a turn that was ended before it ended there, if there is anything to abort. Never rejects for it. */
export async function abortIfDue(deps: CancelDeps, messageId: string): Promise<void> {
  const { orm, connections, log } = deps;
  const due = await findAbortDue(orm.em.fork(), messageId);
  if (!due) return;
  const signal = AbortSignal.timeout(ABORT_MS);
  try {
    await abortEndedTurn(deps, await connections.get(due.runtimeId, signal), due, signal);
  } catch (err) {
    log.debug({ err, messageId }, 'could not abort a cancelled turn in the gateway; the watcher tries again');
  }
}
