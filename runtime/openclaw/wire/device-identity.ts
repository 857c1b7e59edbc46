import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { z } from 'zod';
import { deriveKey } from '../../../lib/crypto/derive-key.ts';
import { jsonOrNull } from '../../../lib/text/json-or-null.ts';
import { textUpTo } from './bounded-text.ts';
import { GatewayConnectError } from '../../gateway/gateway-errors.ts';
import { gatewayFetch } from './gateway-fetch.ts';
import type { MasterKey } from '../install/tokens.ts';

/** The identity that we prove to a gateway that does not take us for a process of its machine. */
export interface DeviceIdentity {
  id: string;
  publicKey: string;
  sign(text: string): string;
}

export interface SignedConnect {
  client: { id: string; mode: string; platform: string };
  role: string;
  scopes: readonly string[];
  token: string;
}

const PURPOSE = 'gateway-device';
/** What stands before the 32 bytes of an Ed25519 key in its PKCS #8 form. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const KEY_BYTES = 32;
const APPROVE_MS = 10_000;
const REFUSAL_BYTES = 1_024;
const pairingRefusal = z.looseObject({ error: z.looseObject({ message: textUpTo(REFUSAL_BYTES) }).optional() });

/**
 * The device as which we meet the gateway of one runtime: nothing has to be stored, and no two gateways know the same. A
 * gateway counts the writes of a device over all its connections, so each further connection is another device.
 */
export function deviceOf({ key }: MasterKey, runtimeId: string, number = 0): DeviceIdentity {
  const seed = deriveKey(key, number === 0 ? `${PURPOSE}:${runtimeId}` : `${PURPOSE}:${runtimeId}:${number}`);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const raw = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(-KEY_BYTES);
  return {
    id: createHash('sha256').update(raw).digest('hex'),
    publicKey: raw.toString('base64url'),
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64url'),
  };
}

/** What goes into `connect` beside the token: the proof that we hold the key, for this challenge alone. */
export function deviceProof(
  device: DeviceIdentity,
  { client, role, scopes, token }: SignedConnect,
  nonce: string,
  signedAt: number,
) {
  const { id, mode, platform } = client;
  // The last field is the device's family, which we have none of.
  const text = ['v3', device.id, id, mode, role, scopes.join(','), signedAt, token, nonce, platform.toLowerCase(), ''].join('|');
  return { id: device.id, publicKey: device.publicKey, signature: device.sign(text), signedAt, nonce };
}

/** Answers the gateway's own question whether this device may come in. Throws GatewayConnectError. */
export async function approveDevice(
  { wsUrl, token, signal }: { wsUrl: string; token: string; signal: AbortSignal },
  requestId: string,
): Promise<void> {
  const url = new URL('/api/v1/admin/rpc', wsUrl.replace(/^ws/, 'http'));
  const { status, text } = await gatewayFetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ method: 'device.pair.approve', params: { requestId } }),
    timeoutMs: APPROVE_MS,
    signal,
  });
  if (status >= 200 && status < 300) return;
  const said = pairingRefusal.safeParse(jsonOrNull(text)).data?.error?.message ?? 'without a reason';
  // Asked by two at once, one of them comes second and is in all the same: the next try shows it.
  throw new GatewayConnectError(`The gateway did not pair us (${status}): ${said}`, { retryable: true });
}
