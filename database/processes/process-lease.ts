import type { EntityManager } from '@mikro-orm/postgresql';
import type { NotNull } from 'kysely';
import { columns, db } from '../db.ts';
import { Process } from '../entities/process.ts';
import { fromNow, NOW, sql } from '../sql.ts';

/** After this long without a renewal (database clock) others take over what a process owns. */
export const PROCESS_LEASE_MS = 10_000;

/** Of processes `p`: it may send what it owns, with two seconds left until others may take over. */
export const IS_TRUSTED = sql<boolean>`${columns(Process, 'p').seenAt} > clock_timestamp() - interval '8 seconds'`;

/** A process that was seen since then lives. */
export const LEASE_BEGAN = fromNow(-PROCESS_LEASE_MS);

interface NewProcess {
  id: string;
  kind: 'api' | 'worker';
  /** Where a worker serves logs and files; null: nowhere. */
  address: string | null;
  /** Of a worker: the node whose gateways it runs. */
  nodeId?: number | null;
}

/** Registers a process before it owns turns or shards. */
export async function insertProcess(em: EntityManager, { id, kind, address, nodeId = null }: NewProcess): Promise<void> {
  const process = { id, kind, address, node: nodeId, startedAt: NOW, seenAt: NOW };
  await db(em).insertInto('Process').values(process).execute();
}

/** Where workers of the node of this runtime that live serve logs and files, those that were seen last first, at most so many. */
export async function findInstanceServers(em: EntityManager, runtimeId: string, limit: number): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Process')
    .select('address')
    .$narrowType<{ address: NotNull }>()
    .where('kind', '=', 'worker')
    .where('address', 'is not', null)
    .where('seenAt', '>', LEASE_BEGAN)
    .where((eb) => {
      const node = eb.selectFrom('Runtime').select('node').where('id', '=', runtimeId);
      return sql<boolean>`coalesce(${eb.ref('node')} = ${node}, true)`;
    })
    .orderBy('seenAt', 'desc')
    .limit(limit)
    .execute();
  return rows.map(({ address }) => address);
}

/** Renews a process; false when it is not registered any more, or was silent for so long that others may have taken over. */
export async function renewProcess(em: EntityManager, id: string): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('Process')
    .set({ seenAt: NOW })
    .where('id', '=', id)
    .where('seenAt', '>', LEASE_BEGAN)
    .executeTakeFirst();
  return numUpdatedRows > 0;
}

const SILENT_MS = 24 * 3_600_000;

/** Removes a process, so that what it owns is taken over at once, and all processes that have been silent for a day. */
export async function deleteProcess(em: EntityManager, id: string | null): Promise<void> {
  await db(em)
    .deleteFrom('Process')
    .where((eb) => eb.or([eb('id', '=', id), eb('seenAt', '<', fromNow(-SILENT_MS))]))
    .execute();
}
