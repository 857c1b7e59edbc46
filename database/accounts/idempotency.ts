import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { IdempotencyRecord } from '../entities/idempotency-record.ts';
import { fetchRow } from '../rows.ts';
import { run, sql } from '../sql.ts';

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

/** What was stored under this key within the last 24 hours; null when nothing was. */
export async function findStoredCall(em: EntityManager, place: KeyPlace, now: Date): Promise<StoredCall | null> {
  const call = await db(em)
    .selectFrom('IdempotencyRecord')
    .select(['fingerprint', 'answer', 'isFinal'])
    .where((eb) => eb.and({ ...place }))
    .where('createdAt', '>', before(now))
    .executeTakeFirst();
  return call ? { ...call, fingerprint: Buffer.from(call.fingerprint) } : null;
}

/**
 * Takes the key until the transaction ends; false, at once, when another one has it. What that one has stored is seen by
 * the statements that follow.
 */
export async function lockKey(em: EntityManager, { caller, method, path, key }: KeyPlace): Promise<boolean> {
  const digest = createHash('sha256')
    .update(JSON.stringify([caller, method, path, key]))
    .digest();
  const id = digest.readBigInt64BE().toString();
  const answer = await fetchRow(
    em,
    { locked: sql<boolean>`pg_try_advisory_xact_lock(${id}::bigint)` },
    (fields) => sql`select ${fields}`,
  );
  return answer?.locked ?? false;
}

/** Stores a call in the transaction of its effect, in the place of one that is too old. */
export async function storeCall(em: EntityManager, place: KeyPlace, call: StoredCall & { createdAt: Date }): Promise<void> {
  const { fingerprint, answer, isFinal, createdAt } = call;
  const stored = { fingerprint, answer, isFinal, createdAt };
  await db(em)
    .insertInto('IdempotencyRecord')
    .values({ ...place, ...stored })
    .onConflict((conflict) => conflict.columns(['caller', 'method', 'path', 'key']).doUpdateSet(stored))
    .execute();
}

/** Stores the final answer of a call; the first one stays. */
export async function storeFinalAnswer(em: EntityManager, place: KeyPlace, answer: string): Promise<void> {
  await db(em)
    .updateTable('IdempotencyRecord')
    .set({ answer, isFinal: true })
    .where((eb) => eb.and({ ...place, isFinal: false }))
    .execute();
}

/** Removes one batch of calls that were stored over 24 hours ago. Says how many. */
export async function removeOldCalls(em: EntityManager, { now, limit }: { now: Date; limit: number }): Promise<number> {
  const { caller, method, path, key, createdAt } = columns(IdempotencyRecord);
  const place = sql.join([caller, method, path, key]);
  return run(
    em,
    sql`delete from idempotency_records where (${place}) in (
          select ${place} from idempotency_records where ${createdAt} <= ${before(now)} limit ${limit})`,
  );
}
