import { setTimeout as sleep } from 'node:timers/promises';
import { findPendingTurn } from '../database/messages/pending-turns.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';
import { StepRecorder } from './steps/step-recorder.ts';
import type { TurnDeps } from './turn-deps.ts';
import type { TurnFeed } from './turn-feed.ts';

interface HearDeps extends TurnDeps {
  connections: GatewayConnections;
  messageId: string;
  feed: TurnFeed;
  /** Ends it. */
  signal: AbortSignal;
}

/**
 * Feeds the text and the steps of a turn that another process has sent: what its gateway has said by now, and then each piece. Sends
 * nothing and ends nothing. Resolves when there is nothing more to hear over this connection, or when it is time to read
 * back again: do it again then. Throws as a Gateway does, and the signal's reason.
 */
export async function hearTurn(deps: HearDeps): Promise<void> {
  const { orm, connections, messageId, feed, signal, pauses } = deps;
  const turn = await findPendingTurn(orm.em.fork(), messageId);
  if (!turn || turn.attempt === 0 || turn.bootId === null) return;
  const gateway = await connections.get(turn.runtimeId, signal);
  if (gateway.bootId !== turn.bootId) return;
  let runKey: string | null = null;
  const steps = new StepRecorder({ ...deps, turn, stores: false, onStep: (step) => feed.tellStep(step) });
  const unsubscribe = gateway.follow((event) => {
    if (event.kind !== 'said' && event.kind !== 'tool') return;
    if (event.messageId !== messageId && event.runId !== runKey) return;
    if (event.kind === 'said') feed.update(event.text);
    else steps.hear(event.sign);
  });
  const over = new AbortController();
  try {
    const { recovery } = await gateway.turns.readBack(turn, signal);
    if (recovery.kind === 'running') {
      runKey = recovery.runKey;
      if (recovery.textSoFar !== '') feed.update(recovery.textSoFar);
    }
    const silence = sleep(pauses.begunMs, undefined, { signal: AbortSignal.any([over.signal, signal]) }).catch(() => undefined);
    await Promise.race([gateway.closed, feed.ended, silence]);
  } finally {
    over.abort();
    unsubscribe();
  }
}
