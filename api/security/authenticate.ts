import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { findAccountOfKey, touchApiKey } from '../../database/accounts/api-keys.ts';
import { isOperator } from '../../database/accounts/operators.ts';
import { findTokenVersion } from '../../database/accounts/token-version.ts';
import { AppError } from '../../domain/errors.ts';
import { NO_LIMITS } from '../../domain/access/key-scopes.ts';
import type { AccountActor, Actor, Auth } from './actor.ts';
import { bearerToken } from '../http/door.ts';
import type { Door } from '../http/door.ts';
import { NOTHING_HERE } from '../http/nothing-here.ts';
import { hashApiKey, isApiKey } from './api-key.ts';
import type { Deps } from '../deps.ts';
import { addressBlock } from './rate-limit.ts';
import { createRefusedCredentials } from './refused-credentials.ts';
import type { RefusedCredentials } from './refused-credentials.ts';

type DoorOfCaller = Pick<Door, 'credentialOf' | 'takesOperators'>;

/** What a call says of itself, read once. */
export interface Claim {
  /**
   * Which account it claims to be of, by a credential that was good before. It shares out what the process has, and allows
   * nothing. Null: not known.
   */
  accountId: string | null;
  /**
   * Asks the database whether the claim is true. Throws `unauthorized`, `rate_limited`, and `not_found` for operations of
   * operators.
   */
  confirm(address: string): Promise<Actor>;
}

export interface Authentication {
  /** Reads the credential of a call of this door, where the operation requires one, without the database. */
  readClaim(door: DoorOfCaller, auth: Auth, headers: IncomingHttpHeaders): Claim;
}

/** A credential that is read, and not looked up yet. */
interface Proof {
  /** What it is remembered by. */
  name: string;
  confirm(address: string): Promise<AccountActor>;
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

  function readKey(key: string): Proof {
    const hash = hashApiKey(key);
    const name = nameOfKey(hash);
    async function confirm(address: string): Promise<AccountActor> {
      if (!isApiKey(key)) throw new AppError('unauthorized', REFUSAL);
      const now = deps.clock();
      const found = await lookUp(address, name, () => findAccountOfKey(deps.orm.em.fork(), hash, now));
      if (found.useIsStale) noteUse(found.keyId, now);
      const { accountId, keyId, scopes, instanceId } = found;
      return { kind: 'account', accountId, keyId, limits: { scopes, instanceId } };
    }
    return { name, confirm };
  }

  /** Null for one that is not ours, or has expired. */
  function readToken(token: string): Proof | null {
    const claim = deps.tokens.verify(token);
    if (!claim) return null;
    const { accountId, tokenVersion } = claim;
    const name = nameOfToken(claim);
    async function confirm(address: string): Promise<AccountActor> {
      await lookUp(address, name, async () =>
        (await findTokenVersion(deps.orm.em.fork(), accountId)) === tokenVersion ? { accountId } : null,
      );
      return { kind: 'account', accountId, keyId: null, limits: NO_LIMITS };
    }
    return { name, confirm };
  }

  async function asOperator({ accountId }: AccountActor): Promise<Actor> {
    if (await isOperator(deps.orm.em.fork(), accountId)) return { kind: 'operator', accountId };
    throw new AppError('not_found', NOTHING_HERE);
  }

  return {
    readClaim(door, auth, headers) {
      if (auth === 'public') return { accountId: null, confirm: async () => null };
      if (auth === 'operator' && !door.takesOperators)
        return { accountId: null, confirm: async () => byOperatorToken(bearerToken(headers), deps.config.OPERATOR_TOKEN) };
      const credential = door.credentialOf(headers);
      const proof = credential && (credential.kind === 'api-key' ? readKey(credential.key) : readToken(credential.token));
      return {
        accountId: proof && auth === 'account' ? refused.accountOf(proof.name) : null,
        async confirm(address) {
          if (!proof) throw new AppError('unauthorized', REFUSAL);
          const actor = await proof.confirm(address);
          return auth === 'operator' ? asOperator(actor) : actor;
        },
      };
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
