import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const KEPT_MS = 24 * 60 * 60_000;

const before = (now: Date): Date => new Date(now.getTime() - KEPT_MS);

/** What a key is unique within, and the key. */
export interface KeyPlace {
  /** The account, or `operator`. */
  caller: string;
  method: string;
  /** The concrete path, without the query. */
  path: string;
  key: string;
}

export interface StoredCall {
  fingerprint: Buffer;
  answer: string;
  isFinal: boolean;
}

function isAt({ caller, method, path, key }: KeyPlace): Sql {
  return sql`caller = ${caller} and method = ${method} and path = ${path} and key = ${key}`;
}

/** What was stored under this key within the last 24 hours; null when nothing was. */
export async function findStoredCall(em: EntityManager, place: KeyPlace, now: Date): Promise<StoredCall | null> {
  const [row] = await query<StoredCall>(
    em,
    sql`select fingerprint, answer, is_final as "isFinal" from idempotency_records
      where ${isAt(place)} and created_at > ${before(now)}`,
  );
  return row ?? null;
}

/**
 * Takes the key until the transaction ends; false, at once, when another one has it. What that one has stored is seen by
 * the statements that follow.
 */
export async function lockKey(em: EntityManager, { caller, method, path, key }: KeyPlace): Promise<boolean> {
  const digest = createHash('sha256')
    .update(JSON.stringify([caller, method, path, key]))
    .digest();
  const [row] = await query<{ locked: boolean }>(
    em,
    sql`select pg_try_advisory_xact_lock(${digest.readBigInt64BE().toString()}::bigint) as locked`,
  );
  return row?.locked ?? false;
}

/** Stores a call in the transaction of its effect, in the place of one that is too old. */
export async function storeCall(em: EntityManager, place: KeyPlace, call: StoredCall & { createdAt: Date }): Promise<void> {
  const { caller, method, path, key } = place;
  await run(
    em,
    sql`insert into idempotency_records (caller, method, path, key, fingerprint, answer, is_final, created_at)
     values (${caller}, ${method}, ${path}, ${key}, ${call.fingerprint}, ${call.answer}, ${call.isFinal}, ${call.createdAt})
     on conflict (caller, method, path, key) do update
        set fingerprint = excluded.fingerprint, answer = excluded.answer, is_final = excluded.is_final,
            created_at = excluded.created_at`,
  );
}

/** Stores the final answer of a call; the first one stays. */
export async function storeFinalAnswer(em: EntityManager, place: KeyPlace, answer: string): Promise<void> {
  await run(em, sql`update idempotency_records set answer = ${answer}, is_final = true where ${isAt(place)} and not is_final`);
}

/** Removes one batch of calls that were stored over 24 hours ago. Says how many. */
export async function removeOldCalls(em: EntityManager, { now, limit }: { now: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`delete from idempotency_records where (caller, method, path, key) in (
       select caller, method, path, key from idempotency_records where created_at <= ${before(now)} limit ${limit})`,
  );
}
