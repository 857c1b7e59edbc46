import { createHmac, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../../lib/derive-key.ts';

export interface MasterKey {
  id: string;
  key: Buffer;
}

const RELAY_PURPOSE = 'relay-token';
/** Everything in a text that has the form of a relay token, whichever agent and key it is of. */
export const RELAY_TOKENS = /agt_[a-z0-9]{12,64}\.[\w-]{43}/g;
const GATEWAY_PURPOSE = 'gateway-token';

/** The bearer token with which an agent's model calls reach the relay: `<agentId>.<signature>`, made with the active key. */
export function relayToken(masterKeys: readonly MasterKey[], agentId: string): string {
  const [active] = masterKeys;
  if (!active) throw new Error('There is no master key');
  return `${agentId}.${signature(active, RELAY_PURPOSE, agentId)}`;
}

/** The agent that a relay token names, or null when none of the keys made it. Takes the same time for any wrong signature. */
export function verifyRelayToken(masterKeys: readonly MasterKey[], token: string): string | null {
  const dot = token.lastIndexOf('.');
  const agentId = token.slice(0, Math.max(dot, 0));
  const given = Buffer.from(token.slice(dot + 1));
  if (agentId === '') return null;
  const matches = masterKeys.map((masterKey) => {
    const expected = Buffer.from(signature(masterKey, RELAY_PURPOSE, agentId));
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches.includes(true) ? agentId : null;
}

/** The bearer token of the gateway of one runtime, known to its configuration and to whoever holds the master key. */
export function gatewayToken(masterKey: MasterKey, runtimeId: string): string {
  return signature(masterKey, GATEWAY_PURPOSE, runtimeId);
}

function signature({ key }: MasterKey, purpose: string, subject: string): string {
  return createHmac('sha256', deriveKey(key, purpose)).update(subject).digest('base64url');
}
