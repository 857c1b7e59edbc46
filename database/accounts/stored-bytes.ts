import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

const BATCH = 10_000;
/** The most batches of one sweep; the next sweep does the rest. */
const MAX_BATCHES = 100;

/** How many bytes an account stores, exactly, as the caller's transaction sees it. */
export async function findStoredBytes(em: EntityManager, accountId: string): Promise<number> {
  const [row] = await query<{ bytes: number }>(
    em,
    sql`select (coalesce((select bytes from stored_bytes where account_id = ${accountId}), 0)
             + coalesce((select sum(bytes) from stored_bytes_changes where account_id = ${accountId}), 0))::float8 as bytes`,
  );
  return row?.bytes ?? 0;
}

/** Whether an account stores all that it may. */
export async function isStorageFull(em: EntityManager, accountId: string, maxStoredBytes: number): Promise<boolean> {
  return (await findStoredBytes(em, accountId)) >= maxStoredBytes;
}

/** Adds up what was noted since the last time, in batches. Says how many changes that were. */
export async function addUpStoredBytes(em: EntityManager, signal: AbortSignal): Promise<number> {
  let total = 0;
  for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch += 1) {
    const count = await addUpOnce(em);
    total += count;
    if (count < BATCH) break;
  }
  return total;
}

/** One statement, so that a reader counts each change exactly once. Concurrent calls take different changes. */
async function addUpOnce(em: EntityManager): Promise<number> {
  const [row] = await query<{ count: number }>(
    em,
    sql`with taken as (
       delete from stored_bytes_changes
        where id in (select id from stored_bytes_changes order by id limit ${BATCH} for update skip locked)
       returning account_id, bytes
     ), added as (
       insert into stored_bytes (account_id, bytes)
       select account_id, sum(bytes) from taken group by account_id order by account_id
       on conflict (account_id) do update set bytes = stored_bytes.bytes + excluded.bytes
     )
     select count(*)::float8 as count from taken`,
  );
  return row?.count ?? 0;
}
