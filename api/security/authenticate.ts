import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { findAccountOfKey, touchApiKey } from '../../database/accounts/api-keys.ts';
import { isOperator } from '../../database/accounts/operators.ts';
import { findTokenVersion } from '../../database/accounts/token-version.ts';
import { AppError } from '../../domain/errors.ts';
import { NO_LIMITS } from '../../domain/key-scopes.ts';
import type { AccountActor, Actor, Auth } from './actor.ts';
import { bearerToken } from '../http/door.ts';
import type { Door } from '../http/door.ts';
import { NOTHING_HERE } from '../http/nothing-here.ts';
import { hashApiKey, isApiKey } from './api-key.ts';
import type { Deps } from '../deps.ts';
import { addressBlock } from './rate-limit.ts';
import { createRefusedCredentials } from './refused-credentials.ts';
import type { RefusedCredentials } from './refused-credentials.ts';

export interface Caller {
  headers: IncomingHttpHeaders;
  address: string;
}

type DoorOfCaller = Pick<Door, 'credentialOf' | 'takesOperators'>;

export interface Authentication {
  /**
   * Authenticates a call of this door, where the operation requires it. Throws `unauthorized`, `rate_limited`, and `not_found` for
   * operations of operators.
   */
  authenticate(door: DoorOfCaller, auth: Auth, caller: Caller): Promise<Actor>;
  /**
   * Which account a call claims to be of, by a credential that was good before, without the database. It shares out what the
   * process has, and allows nothing. Null: not known.
   */
  claimedAccount(door: DoorOfCaller, auth: Auth, headers: IncomingHttpHeaders): string | null;
}

/** How many refused credentials an address may send in a minute, for each login that it may try. */
const REFUSALS_PER_LOGIN = 10;
const REFUSAL = 'Send a valid API key as X-API-Key or Authorization: Bearer, or a valid token as Authorization: Bearer.';

/** Authentication against the database: nothing is cached, so that a revoked key stops working everywhere at once. */
export function createAuthentication(deps: Deps): Authentication {
  const touching = new Set<string>();
  const limit = REFUSALS_PER_LOGIN * deps.config.AUTH_RATE_LIMIT_PER_MINUTE;
  const refused = createRefusedCredentials({ limit, clock: deps.clock });

  /** Runs beside the request, and never twice at the same time for one key. */
  function noteUse(keyId: string, now: Date): void {
    if (touching.has(keyId)) return;
    touching.add(keyId);
    deps.background.run('touch-api-key', deps.log, () =>
      touchApiKey(deps.orm.em.fork(), keyId, now).finally(() => touching.delete(keyId)),
    );
  }

  const lookUp = createLookUp(refused);

  async function byKey(key: string, address: string): Promise<AccountActor> {
    if (!isApiKey(key)) throw new AppError('unauthorized', REFUSAL);
    const now = deps.clock();
    const hash = hashApiKey(key);
    const found = await lookUp(address, nameOfKey(hash), () => findAccountOfKey(deps.orm.em.fork(), hash, now));
    if (found.useIsStale) noteUse(found.keyId, now);
    const { accountId, keyId, scopes, instanceId } = found;
    return { kind: 'account', accountId, keyId, limits: { scopes, instanceId } };
  }

  async function byToken(token: string, address: string): Promise<AccountActor> {
    const claim = deps.tokens.verify(token);
    if (!claim) throw new AppError('unauthorized', REFUSAL);
    const { accountId, tokenVersion } = claim;
    await lookUp(address, nameOfToken(claim), async () =>
      (await findTokenVersion(deps.orm.em.fork(), accountId)) === tokenVersion ? { accountId } : null,
    );
    return { kind: 'account', accountId, keyId: null, limits: NO_LIMITS };
  }

  async function asOperator({ accountId }: AccountActor): Promise<Actor> {
    if (await isOperator(deps.orm.em.fork(), accountId)) return { kind: 'operator', accountId };
    throw new AppError('not_found', NOTHING_HERE);
  }

  async function authenticate(door: DoorOfCaller, auth: Auth, { headers, address }: Caller): Promise<Actor> {
    if (auth === 'public') return null;
    if (auth === 'operator' && !door.takesOperators) return byOperatorToken(bearerToken(headers), deps.config.OPERATOR_TOKEN);
    const credential = door.credentialOf(headers);
    if (credential === null) throw new AppError('unauthorized', REFUSAL);
    const actor = await (credential.kind === 'api-key' ? byKey(credential.key, address) : byToken(credential.token, address));
    return auth === 'operator' ? asOperator(actor) : actor;
  }

  return {
    authenticate,
    claimedAccount(door, auth, headers) {
      const credential = auth === 'account' ? door.credentialOf(headers) : null;
      if (!credential) return null;
      if (credential.kind === 'api-key') return refused.accountOf(nameOfKey(hashApiKey(credential.key)));
      const claim = deps.tokens.verify(credential.token);
      return claim && refused.accountOf(nameOfToken(claim));
    },
  };
}

/** Looks a credential up, unless its address has had too many refused. Throws `unauthorized` and `rate_limited`. */
function createLookUp(refused: RefusedCredentials) {
  return async function lookUp<T extends { accountId: string }>(
    address: string,
    credential: string,
    find: () => Promise<T | null>,
  ): Promise<T> {
    const block = addressBlock(address);
    const waitSeconds = refused.waitSeconds(block, credential);
    if (waitSeconds > 0)
      throw new AppError(
        'rate_limited',
        `Too many requests with invalid credentials came from your IP address. Try again in ${waitSeconds} s.`,
        {
          retryAfterSeconds: waitSeconds,
        },
      );
    const found = await find();
    if (found === null) {
      refused.noteRefused(block, credential);
      throw new AppError('unauthorized', REFUSAL);
    }
    refused.noteGood(credential, found.accountId);
    return found;
  };
}

/** What a credential is remembered by. */
function nameOfKey(hash: Buffer): string {
  return hash.toString('base64');
}

function nameOfToken({ accountId, tokenVersion }: { accountId: string; tokenVersion: number }): string {
  return `${accountId}/${tokenVersion}`;
}

function byOperatorToken(given: string | undefined, expected: string | undefined): Actor {
  if (expected === undefined) throw new AppError('not_found', NOTHING_HERE);
  const digest = (text: string) => createHash('sha256').update(text).digest();
  // Digests have equal length, so the comparison takes the same time for any input.
  if (!timingSafeEqual(digest(given ?? ''), digest(expected)))
    throw new AppError('unauthorized', 'Send the operator token as Authorization: Bearer.');
  return { kind: 'operator', accountId: null };
}
