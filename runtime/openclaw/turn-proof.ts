import type { GatewayClient } from './gateway-client.ts';
import { CONNECTION_LOST, GatewayRequestError } from './gateway-errors.ts';
import { refusalIn } from './turn-outcome.ts';
import type { RefusalReason } from './turn-outcome.ts';

/** A gateway answers, but would refuse every turn until it is restarted. */
export class GatewayBrokenError extends Error {}

/** Session groups are for people who look at OpenClaw's own pages, which are off. */
const GROUPS = ['proof-a', 'proof-b'] as const;
const BROKEN: readonly (RefusalReason | null)[] = ['cleanup-failed', 'unsettled', 'state-damaged'];
const PROOF_MS = 20_000;

/**
 * Shows that a gateway takes turns, without a turn: renaming a session group that has no members writes to the
 * database of every agent that has one, over the connection that turns need too, and changes nothing in them. Throws
 * GatewayBrokenError when it refuses for a reason for which it would refuse a turn, GatewayRequestError when the
 * connection is lost, and the signal's reason. What else goes wrong proves nothing against turns.
 */
export async function proveTurns(client: GatewayClient, signal: AbortSignal): Promise<void> {
  const [name, to] = GROUPS;
  try {
    await client.request('sessions.groups.put', { names: [name] }, { signal, timeoutMs: PROOF_MS });
    await client.request('sessions.groups.rename', { name, to }, { signal, timeoutMs: PROOF_MS });
  } catch (error) {
    if (!(error instanceof GatewayRequestError) || error.code === CONNECTION_LOST) throw error;
    if (BROKEN.includes(refusalIn(error.message))) throw new GatewayBrokenError(error.message);
  }
}
