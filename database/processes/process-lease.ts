import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** After this long without a renewal (database clock) others take over what a process owns. */
export const PROCESS_LEASE_MS = 10_000;

/** Of processes `p`: it may send what it owns, with two seconds left until others may take over. */
export const IS_TRUSTED = sql`p.seen_at > clock_timestamp() - interval '8 seconds'`;

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
  await run(
    em,
    sql`insert into processes (id, kind, address, node_id, started_at, seen_at) values (${id}, ${kind}, ${address}, ${nodeId}, now(), now())`,
  );
}

/** Where workers of the node of this runtime that live serve logs and files, those that were seen last first, at most so many. */
export async function findInstanceServers(em: EntityManager, runtimeId: string, limit: number): Promise<string[]> {
  const rows = await query<{ address: string }>(
    em,
    sql`select address from processes
      where kind = 'worker' and address is not null
        and coalesce(node_id = (select node_id from runtimes where id = ${runtimeId}), true) and seen_at > now() - make_interval(secs => ${PROCESS_LEASE_MS / 1_000})
      order by seen_at desc limit ${limit}`,
  );
  return rows.map(({ address }) => address);
}

/** Renews a process; false when it is not registered any more, or was silent for so long that others may have taken over. */
export async function renewProcess(em: EntityManager, id: string): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update processes set seen_at = now()
      where id = ${id} and seen_at > now() - make_interval(secs => ${PROCESS_LEASE_MS / 1_000}) returning id`,
  );
  return rows.length > 0;
}

/** Removes a process, so that what it owns is taken over at once, and all processes that have been silent for a day. */
export async function deleteProcess(em: EntityManager, id: string | null): Promise<void> {
  await run(em, sql`delete from processes where id = ${id} or seen_at < now() - interval '1 day'`);
}
