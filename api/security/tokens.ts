import jwt from 'jsonwebtoken';
import { z } from 'zod';
import type { MakeId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/async/clock.ts';
import { deriveKey } from '../../lib/crypto/derive-key.ts';

const ISSUER = 'thermidora';
const AUDIENCE = 'thermidora-api';
const LIFETIME_SECONDS = 24 * 60 * 60;

interface TokenAccount {
  accountId: string;
  /** A token is good only while its account still has this version. */
  tokenVersion: number;
}

export interface Tokens {
  issue(account: TokenAccount): { token: string; expiresAt: string };
  /** Whose token this is; null unless it is ours, unaltered and not expired. The version is for the caller to compare. */
  verify(token: string): TokenAccount | null;
}

interface TokenOptions {
  /** The first one signs, all of them verify. */
  masterKeys: readonly { id: string; key: Buffer }[];
  clock: Clock;
  makeId: MakeId;
}

const claims = z.object({ sub: z.string(), ver: z.int() });

/** JSON Web Tokens (HS256) that are good for 24 hours. */
export function createTokens({ masterKeys, clock, makeId }: TokenOptions): Tokens {
  const keys = new Map(masterKeys.map(({ id, key }) => [id, deriveKey(key, 'jwt')]));
  const [active] = keys;
  if (!active) throw new Error('MASTER_KEYS names no key');
  const nowSeconds = () => Math.floor(clock().getTime() / 1000);
  return {
    issue({ accountId, tokenVersion }) {
      const [keyid, key] = active;
      const iat = nowSeconds();
      const exp = iat + LIFETIME_SECONDS;
      const payload = { iss: ISSUER, aud: AUDIENCE, sub: accountId, ver: tokenVersion, jti: makeId('tok'), iat, exp };
      const token = jwt.sign(payload, key, { algorithm: 'HS256', keyid });
      return { token, expiresAt: new Date(exp * 1000).toISOString() };
    },
    verify(token) {
      const key = keys.get(jwt.decode(token, { complete: true })?.header.kid ?? '');
      if (!key) return null;
      try {
        const options = { issuer: ISSUER, audience: AUDIENCE, clockTimestamp: nowSeconds() };
        const parsed = claims.safeParse(jwt.verify(token, key, { ...options, algorithms: ['HS256'] }));
        return parsed.success ? { accountId: parsed.data.sub, tokenVersion: parsed.data.ver } : null;
      } catch {
        return null;
      }
    },
  };
}
