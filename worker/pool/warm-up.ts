import type { SpareAgent } from '../../database/pool/add-member.ts';
import type { MakeId } from '../../domain/ids.ts';
import { orAborted } from '../../lib/async/aborted.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';

interface Options {
  gateway: Gateway;
  spare: SpareAgent;
  makeId: MakeId;
  now: Date;
  signal: AbortSignal;
}

/** Of the throw-away turn. */
const CONVERSATION = 'warm-up';
const TURN_SECONDS = 60;
const TRACE = 'f'.repeat(32);

/** A spare agent took no turn. */
export class WarmUpError extends Error {}

/**
 * Has a spare agent take a turn, which the relay answers itself, so that the gateway has loaded what turns need; and deletes
 * its conversation. What the deletion ends is started again. Throws WarmUpError, GatewayRequestError, and the signal's reason.
 */
export async function warmUp({ gateway, spare, makeId, now, signal }: Options): Promise<void> {
  const conversation = { gatewayAgentId: spare.gatewayAgentId, conversationId: CONVERSATION };
  const turn = { ...conversation, messageId: makeId('msg'), attempt: 1, text: 'Hello', saidAtMs: now.getTime(), traceId: TRACE };
  const { promise: ended, resolve } = Promise.withResolvers<string>();
  const sent = await gateway.turns.send(turn, {
    timeoutSeconds: TURN_SECONDS,
    signal,
    onResult: (result) => resolve(result.kind === 'done' ? result.outcome.kind : result.kind),
  });
  if (sent.kind !== 'accepted') throw new WarmUpError(`A spare agent took no turn: ${sent.kind}`);
  const end = await orAborted(Promise.race([ended, gateway.closed.then(() => 'lost')]), signal);
  if (end !== 'completed') throw new WarmUpError(`The turn of a spare agent did not complete: ${end}`);
  await gateway.turns.forget(conversation, signal);
  await gateway.turns.startReader(spare.gatewayAgentId, signal);
}
