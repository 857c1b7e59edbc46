import { createHash } from 'node:crypto';
import type { RandomBytes } from '../../domain/ids.ts';

export const KEY_PREFIX = 'tc_live_';

/** Whether a text has the form of a key, so that it is worth looking up. */
export function isApiKey(text: string): boolean {
  return /^tc_live_[\w-]{43}$/.test(text);
}

/** What is stored of a key. 256 random bits need no slow hash, and no keyed one. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** A new key: `tc_live_` and 32 random bytes. It is shown once and stored only as its hash. */
export function makeApiKey(randomBytes: RandomBytes): { key: string; hash: Buffer; prefix: string; last4: string } {
  const key = `${KEY_PREFIX}${Buffer.from(randomBytes(32)).toString('base64url')}`;
  return { key, hash: hashApiKey(key), prefix: KEY_PREFIX, last4: key.slice(-4) };
}
