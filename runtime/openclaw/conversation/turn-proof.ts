import { setTimeout as sleep } from 'node:timers/promises';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { CONNECTION_LOST, GatewayBrokenError, GatewayRequestError } from '../../gateway/gateway-errors.ts';
import { refusalIn } from './turn-outcome.ts';
import type { RefusalReason } from '../../gateway/turn-results.ts';

/** Session groups are for people who look at OpenClaw's own pages, which are off. */
const GROUPS = ['proof-a', 'proof-b'] as const;
const BROKEN: readonly (RefusalReason | null)[] = ['cleanup-failed', 'state-damaged'];
const PROOF_MS = 20_000;
/** How often the proof is tried, with a pause between two tries: a stuck lock or worker may recover. */
const TRIES = 5;
const PAUSE_MS = 5_000;

/**
 * Shows that a gateway takes turns, without a turn: renaming a session group that has no members writes to the
 * database of every agent that has one, over the connection that turns need too, and changes nothing in them. Throws
 * GatewayBrokenError when it refuses for a reason for which it would refuse a turn, GatewayRequestError when the
 * connection is lost, and the signal's reason. What else goes wrong proves nothing against turns.
 */
export async function proveTurns(client: GatewayClient, signal: AbortSignal): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const refusal = await refusalOf(client, signal);
    if (refusal === null) return;
    const { why, message } = refusal;
    if (BROKEN.includes(why) || (why === 'unsettled' && tried === TRIES)) throw new GatewayBrokenError(message);
    if (why !== 'unsettled') return;
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

async function refusalOf(
  client: GatewayClient,
  signal: AbortSignal,
): Promise<{ why: RefusalReason | null; message: string } | null> {
  const [name, to] = GROUPS;
  try {
    await client.request('sessions.groups.put', { names: [name] }, { signal, timeoutMs: PROOF_MS });
    await client.request('sessions.groups.rename', { name, to }, { signal, timeoutMs: PROOF_MS });
    return null;
  } catch (error) {
    if (!(error instanceof GatewayRequestError) || error.code === CONNECTION_LOST) throw error;
    return { why: refusalIn(error.message), message: error.message };
  }
}
