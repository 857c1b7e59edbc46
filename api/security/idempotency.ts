import { createHmac, timingSafeEqual } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { findStoredCall, lockKey, storeCall, storeFinalAnswer } from '../../database/accounts/idempotency.ts';
import type { KeyPlace, StoredCall } from '../../database/accounts/idempotency.ts';
import { AppError } from '../../domain/errors.ts';
import { deriveKey } from '../../lib/crypto/derive-key.ts';
import type { Actor } from './actor.ts';
import type { Operation } from '../contract/define-operation.ts';
import type { Deps } from '../deps.ts';
import { encryptionOf } from './encryption-of.ts';

/** A call that carries an Idempotency-Key. */
export interface KeyedCall {
  place: KeyPlace;
  /** The bytes of its body, or what tells them from all others. */
  body: () => Buffer;
}

/** What an earlier call with the same key and body has done. */
export interface Recorded {
  /** The answer; while that is not known, what `handle` returned. */
  value: unknown;
  isFinal: boolean;
}

export interface Idempotency {
  /** Whether anything was recorded under this key, whatever the body was. */
  knows(em: EntityManager, place: KeyPlace): Promise<boolean>;
  /** What was recorded under this key; null when nothing was. Throws `conflict` when it was for another body. */
  find(em: EntityManager, call: KeyedCall): Promise<Recorded | null>;
  /** The same in the transaction of the work, which has the key for itself then. Throws `conflict` when another call has it. */
  hold(em: EntityManager, call: KeyedCall): Promise<Recorded | null>;
  /** Records a call that has done its work, in the transaction of that work. */
  record(em: EntityManager, call: KeyedCall, recorded: Recorded): Promise<void>;
  /** Records the answer of a call whose work was recorded before. */
  finish(em: EntityManager, call: KeyedCall, answer: unknown): Promise<void>;
}

/** 1 to 255 printable ASCII characters. */
export const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
const SOON_SECONDS = 1;

/** Whether this may be an Idempotency-Key: 1 to 255 printable ASCII characters. */
export function isIdempotencyKey(text: string): boolean {
  return IDEMPOTENCY_KEY.test(text);
}

/**
 * Within whose keys a key is looked up: all keys and tokens of an account share them. An answer that a limited key might not
 * have been given (a credential, a resource of the account) is repeated only to callers with the same limits.
 */
export function callerName(actor: Actor, { success, keyOfInstance }: Pick<Operation, 'success' | 'keyOfInstance'>): string {
  if (actor?.kind !== 'account') return 'operator';
  const { accountId, limits } = actor;
  const isLimited = limits.scopes !== null || limits.instanceId !== null;
  return isLimited && (success.credential || keyOfInstance)
    ? JSON.stringify([accountId, limits.scopes, limits.instanceId])
    : accountId;
}

/** The records of calls with an Idempotency-Key. They hold answers encrypted, and of bodies an HMAC. */
export function createIdempotency(deps: Pick<Deps, 'config' | 'randomBytes' | 'clock'>): Idempotency {
  const { config, clock } = deps;
  const encryption = encryptionOf(deps);
  const keys = config.MASTER_KEYS.map(({ key }) => deriveKey(key, 'idempotency'));
  const fingerprint = (key: Buffer, body: Buffer) => createHmac('sha256', key).update(body).digest();
  const encrypt = (place: KeyPlace, value: unknown) => encryption.encrypt(JSON.stringify(value), nameOf(place));

  function read({ place, body }: KeyedCall, stored: StoredCall): Recorded {
    // Whichever key was the active one then.
    if (!keys.some((key) => timingSafeEqual(fingerprint(key, body()), stored.fingerprint)))
      throw new AppError(
        'conflict',
        'This Idempotency-Key was used with a different request body. Use a new key for each new request.',
      );
    return { value: JSON.parse(encryption.decrypt(stored.answer, nameOf(place))), isFinal: stored.isFinal };
  }

  async function find(em: EntityManager, call: KeyedCall): Promise<Recorded | null> {
    const stored = await findStoredCall(em, call.place, clock());
    return stored && read(call, stored);
  }

  return {
    knows: async (em, place) => (await findStoredCall(em, place, clock())) !== null,
    find,
    async hold(em, call) {
      if (!(await lockKey(em, call.place))) throw stillRunning();
      return find(em, call);
    },
    async record(em, { place, body }, { value, isFinal }) {
      const [active] = keys;
      if (!active) throw new Error('MASTER_KEYS names no key');
      const answer = encrypt(place, value);
      await storeCall(em, place, { fingerprint: fingerprint(active, body()), answer, isFinal, createdAt: clock() });
    },
    async finish(em, { place }, answer) {
      await storeFinalAnswer(em, place, encrypt(place, answer));
    },
  };
}

function nameOf({ caller, method, path, key }: KeyPlace): string {
  return `idempotency_records/${JSON.stringify([caller, method, path, key])}`;
}

function stillRunning(): AppError {
  return new AppError('conflict', 'The first request with this Idempotency-Key is still running. Try again in a moment.', {
    retryable: true,
    retryAfterSeconds: SOON_SECONDS,
  });
}
