import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { findAccountOfKey, touchApiKey } from '../database/queries/api-keys.ts';
import { findTokenVersion } from '../database/queries/token-version.ts';
import { AppError } from '../domain/errors.ts';
import type { AccountActor, Actor, Auth } from './actor.ts';
import { NOTHING_HERE } from './nothing-here.ts';
import { hashApiKey } from './api-key.ts';
import type { Deps } from './deps.ts';

/** Who calls, where the operation asks for it. Throws `unauthorized`. */
export type Authenticate = (auth: Auth, headers: IncomingHttpHeaders) => Promise<Actor>;

const REFUSAL = 'Send a valid API key as X-API-Key, or a valid token as Authorization: Bearer.';

/** Authentication against the database: nothing is cached, so that a revoked key stops working everywhere at once. */
export function createAuthenticate(deps: Deps): Authenticate {
  const touching = new Set<string>();

  /** Off the request's path, and never twice at a time for one key. */
  function noteUse(keyId: string, now: Date): void {
    if (touching.has(keyId)) return;
    touching.add(keyId);
    deps.background.run('touch-api-key', deps.log, () =>
      touchApiKey(deps.orm.em.fork(), keyId, now).finally(() => touching.delete(keyId)),
    );
  }

  async function byKey(key: string): Promise<AccountActor> {
    const now = deps.clock();
    const found = await findAccountOfKey(deps.orm.em.fork(), hashApiKey(key), now);
    if (!found) throw new AppError('unauthorized', REFUSAL);
    if (found.useIsStale) noteUse(found.keyId, now);
    return { kind: 'account', accountId: found.accountId, keyId: found.keyId };
  }

  async function byToken(token: string): Promise<AccountActor> {
    const claim = deps.tokens.verify(token);
    const version = claim && (await findTokenVersion(deps.orm.em.fork(), claim.accountId));
    if (!claim || version !== claim.tokenVersion) throw new AppError('unauthorized', REFUSAL);
    return { kind: 'account', accountId: claim.accountId, keyId: null };
  }

  return async (auth, headers) => {
    if (auth === 'public') return null;
    const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
    if (auth === 'operator') return byOperatorToken(token, deps.config.OPERATOR_TOKEN);
    const key = headers['x-api-key'];
    if (typeof key === 'string') return byKey(key);
    if (token === undefined) throw new AppError('unauthorized', REFUSAL);
    return byToken(token);
  };
}

function byOperatorToken(given: string | undefined, expected: string | undefined): Actor {
  if (expected === undefined) throw new AppError('not_found', NOTHING_HERE);
  const digest = (text: string) => createHash('sha256').update(text).digest();
  // Digests have one length, so the comparison takes one time whatever was sent.
  if (!timingSafeEqual(digest(given ?? ''), digest(expected)))
    throw new AppError('unauthorized', "Send the operator's token as Authorization: Bearer.");
  return { kind: 'operator' };
}
