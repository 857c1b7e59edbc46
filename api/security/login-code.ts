import { argon2id, hash, verify } from 'argon2';
import type { RandomBytes } from '../../domain/ids.ts';
import { deriveKey } from '../../lib/crypto/derive-key.ts';

/** OWASP's recommendation for argon2id: some 20 ms and 19 MiB for each. */
const COST = { type: argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
const CODES = 1_000_000;
const UNBIASED = 2 ** 32 - (2 ** 32 % CODES);

export interface LoginCodes {
  /** Six random digits. */
  make(): string;
  hash(code: string): Promise<string>;
  /** Takes as long for no hash at all, so that the time does not tell whether there was one. */
  matches(stored: string | null, code: string): Promise<boolean>;
}

/**
 * Login codes. An attacker who reads a fast hash finds six digits in a second, so the hash is slow and takes a key that
 * is not in the database; the id of that key stands before it (`keyId:hash`).
 */
export function createLoginCodes(masterKeys: readonly { id: string; key: Buffer }[], randomBytes: RandomBytes): LoginCodes {
  const peppers = new Map(masterKeys.map(({ id, key }) => [id, deriveKey(key, 'login-code')]));
  const [active] = peppers;
  if (!active) throw new Error('MASTER_KEYS names no key');
  const [activeId, activePepper] = active;
  return {
    make() {
      for (;;) {
        const drawn = Buffer.from(randomBytes(4)).readUInt32BE();
        if (drawn < UNBIASED) return String(drawn % CODES).padStart(6, '0');
      }
    },
    async hash(code) {
      return `${activeId}:${await hash(code, { ...COST, secret: activePepper })}`;
    },
    async matches(stored, code) {
      const at = stored?.indexOf(':') ?? -1;
      const secret = peppers.get(stored?.slice(0, at) ?? '');
      if (stored && secret) return verify(stored.slice(at + 1), code, { secret });
      await hash(code, { ...COST, secret: activePepper });
      return false;
    },
  };
}
