import type { EntityManager } from '@mikro-orm/postgresql';
import type { RawBuilder } from 'kysely';
import { columns } from '../db.ts';
import { StoredBytesChange } from '../entities/stored-bytes-change.ts';
import { StoredBytes } from '../entities/stored-bytes.ts';
import { fetchPlannedRow, fetchRow } from '../rows.ts';
import { asNumber, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const BATCH = 10_000;
/** The most batches of one sweep; the next sweep does the rest. */
const MAX_BATCHES = 100;

const stored = columns(StoredBytes);
const change = columns(StoredBytesChange);

/** How many bytes this account stores, as a field of a statement. */
export function storedBytesOf(accountId: Sql): RawBuilder<number> {
  return asNumber(
    sql<bigint>`coalesce((select ${stored.bytes} from stored_bytes where ${stored.accountId} = ${accountId}), 0)
              + coalesce((select sum(${change.bytes}) from stored_bytes_changes where ${change.accountId} = ${accountId}), 0)`,
  );
}

/** How many bytes an account stores, exactly, as the caller's transaction sees it. */
export async function findStoredBytes(em: EntityManager, accountId: string): Promise<number> {
  const bytes = storedBytesOf(sql`${accountId}`);
  const row = await fetchPlannedRow(em, 'stored_bytes', { bytes }, (fields) => sql`select ${fields}`);
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
  const row = await fetchRow(
    em,
    { count: asNumber(sql<bigint>`count(*)`) },
    (fields) => sql`
      with taken as (
        delete from stored_bytes_changes
         where ${change.id} in (select ${change.id} from stored_bytes_changes order by ${change.id} limit ${BATCH} for update skip locked)
        returning ${change.accountId}, ${change.bytes}
      ), added as (
        insert into stored_bytes as known (${stored.accountId}, ${stored.bytes})
        select ${change.accountId}, sum(${change.bytes}) from taken group by ${change.accountId} order by ${change.accountId}
        on conflict (${stored.accountId}) do update
           set ${stored.bytes} = ${columns(StoredBytes, 'known').bytes} + ${columns(StoredBytes, 'excluded').bytes}
      )
      select ${fields} from taken`,
  );
  return row?.count ?? 0;
}
