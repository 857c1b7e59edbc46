import { createHash } from 'node:crypto';
import type { RandomBytes } from '../../domain/ids.ts';

/** What is stored of the code of a link. 256 random bits need no slow hash. */
export function hashLinkCode(code: string): Buffer {
  return createHash('sha256').update(code).digest();
}

/** A new code of 32 random bytes. It is shown once and stored only as its hash. */
export function makeLinkCode(randomBytes: RandomBytes): { code: string; hash: Buffer } {
  const code = Buffer.from(randomBytes(32)).toString('base64url');
  return { code, hash: hashLinkCode(code) };
}
