import { createHmac, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../../../lib/crypto/derive-key.ts';

export interface MasterKey {
  id: string;
  key: Buffer;
}

const RELAY_PURPOSE = 'relay-token';
/** Everything in a text that has the form of a relay token, whichever agent, process and key it is of. */
export const RELAY_TOKENS = /agt_[a-z0-9]{12,64}(?:\.\d{1,16})?\.[\w-]{43}/g;
const GATEWAY_PURPOSE = 'gateway-token';

/** Whose model calls a relay token is for. */
export interface TokenHolder {
  agentId: string;
  /** The attempt that started the gateway process of the agent. Null: it was started by a version without it. */
  epoch: number | null;
}

/**
 * The bearer token with which an agent's model calls reach the relay: `<agentId>.<epoch>.<signature>`, made with the
 * active key.
 */
export function relayToken(masterKeys: readonly MasterKey[], { agentId, epoch }: TokenHolder): string {
  const [active] = relayKeys(masterKeys.slice(0, 1));
  if (!active) throw new Error('There is no master key');
  const subject = epoch === null ? agentId : `${agentId}.${epoch}`;
  return `${subject}.${signature(active.key, subject)}`;
}

/** What it takes to make and verify relay tokens, and nothing else that master keys are for. */
export function relayKeys(masterKeys: readonly MasterKey[]): MasterKey[] {
  return masterKeys.map(({ id, key }) => ({ id, key: deriveKey(key, RELAY_PURPOSE) }));
}

/** Whom a relay token names, or null when none of the relay keys made it. Takes the same time for any wrong signature. */
export function verifyRelayToken(keys: readonly MasterKey[], token: string): TokenHolder | null {
  const dot = token.lastIndexOf('.');
  const subject = token.slice(0, Math.max(dot, 0));
  const given = Buffer.from(token.slice(dot + 1));
  if (subject === '') return null;
  const matches = keys.map(({ key }) => {
    const expected = Buffer.from(signature(key, subject));
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  if (!matches.includes(true)) return null;
  const [agentId = '', epoch] = subject.split('.');
  return { agentId, epoch: epoch === undefined ? null : Number(epoch) };
}

/** The bearer token of the gateway of one runtime. It is in the gateway's configuration, and every process with the master key can compute it. */
export function gatewayToken(masterKey: MasterKey, runtimeId: string): string {
  return signature(deriveKey(masterKey.key, GATEWAY_PURPOSE), runtimeId);
}

function signature(key: Buffer, subject: string): string {
  return createHmac('sha256', key).update(subject).digest('base64url');
}
