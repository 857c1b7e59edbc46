import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import { changeLifecycle } from '../instances/change-lifecycle.ts';

/** A runtime whose id no row of `instances` has. */
export interface FoundUnowned {
  runtimeId: string;
  /** Null: it is as it was found. */
  quarantinedAt: Date | null;
}

interface FoundOnNode {
  /** The node that was swept; null: a sweep of the version before. */
  nodeId: number | null;
  found: readonly FoundUnowned[];
  now: Date;
}

/** Makes the list of unowned runtimes of a node what a sweep has found there; what was asked about each of them stays. */
export async function noteUnowned(em: EntityManager, { nodeId, found, now }: FoundOnNode): Promise<void> {
  await run(
    em,
    sql`with found as (
       select runtime_id, quarantined_at from jsonb_to_recordset(${JSON.stringify(found.map(({ runtimeId, quarantinedAt }) => ({ runtime_id: runtimeId, quarantined_at: quarantinedAt })))}::jsonb) as f (runtime_id text, quarantined_at timestamptz)
        where not exists (select from instances where instances.runtime_id = f.runtime_id)
     ), forgotten as (
       delete from unowned_runtimes
        where (node_id is null or node_id = ${nodeId}) and runtime_id not in (select runtime_id from found)
     )
     insert into unowned_runtimes (runtime_id, found_at, quarantined_at, node_id)
     select runtime_id, ${now}::timestamptz, quarantined_at, ${nodeId}::int from found
     on conflict (runtime_id) do update set quarantined_at = excluded.quarantined_at, node_id = excluded.node_id`,
  );
}

/** Asks for the deletion of what was quarantined before this moment and still has no instance. */
export async function askToDeleteOld(em: EntityManager, { before, now }: { before: Date; now: Date }): Promise<void> {
  await run(
    em,
    sql`update unowned_runtimes set delete_asked_at = ${now}
      where quarantined_at < ${before} and delete_asked_at is null
        and not exists (select from instances where instances.runtime_id = unowned_runtimes.runtime_id)`,
  );
}

/** Asks for the deletion of one, in the caller's transaction. False when it is not in the list. */
export async function askToDelete(em: EntityManager, runtimeId: string, now: Date): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update unowned_runtimes set delete_asked_at = coalesce(delete_asked_at, ${now}) where runtime_id = ${runtimeId}
     returning runtime_id as id`,
  );
  return rows.length > 0;
}

/** The runtimes of this node whose deletion was asked for and that no instance owns. */
export async function findAskedToDelete(em: EntityManager, nodeId: number | null): Promise<string[]> {
  const rows = await query<{ runtimeId: string }>(
    em,
    sql`select runtime_id as "runtimeId" from unowned_runtimes
      where delete_asked_at is not null and (node_id is null or node_id = ${nodeId})
        and not exists (select from instances where instances.runtime_id = unowned_runtimes.runtime_id)`,
  );
  return rows.map(({ runtimeId }) => runtimeId);
}

/** How many unowned runtimes are quarantined, and how many were left as they are. */
export async function countUnowned(em: EntityManager): Promise<{ quarantined: number; left: number }> {
  const [counts] = await query<{ quarantined: number; left: number }>(
    em,
    sql`select count(quarantined_at)::float8 as quarantined, (count(*) - count(quarantined_at))::float8 as left from unowned_runtimes`,
  );
  return counts ?? { quarantined: 0, left: 0 };
}

/**
 * Raises the epoch of a deleted instance above the fence of its runtime, in the caller's transaction, and answers it; null when no deleted instance
 * has this runtime. It is the proof that the storage may go.
 */
export async function raiseTombstone(
  em: EntityManager,
  { runtimeId, fence }: { runtimeId: string; fence: number },
): Promise<number | null> {
  const [tombstone] = await query<{ id: string }>(
    em,
    sql`select id from instances where runtime_id = ${runtimeId} and deleted_at is not null`,
  );
  if (!tombstone) return null;
  const happening = { kind: 'tombstone-raised', fence } as const;
  const raised = await changeLifecycle(em, { instanceId: tombstone.id, happening });
  return raised?.after.epoch ?? null;
}

/** Takes a runtime out of the list, in the transaction that makes its instance, which is then on the node that has it. */
export async function takeUnowned(em: EntityManager, runtimeId: string): Promise<'taken' | 'unknown' | 'deleting'> {
  const [row] = await query<{ isAsked: boolean; nodeId: number | null }>(
    em,
    sql`select delete_asked_at is not null as "isAsked", node_id as "nodeId" from unowned_runtimes
      where runtime_id = ${runtimeId} and not exists (select from instances where instances.runtime_id = unowned_runtimes.runtime_id)
        for update`,
  );
  if (!row) return 'unknown';
  if (row.isAsked) return 'deleting';
  await run(em, sql`delete from unowned_runtimes where runtime_id = ${runtimeId}`);
  await run(em, sql`insert into runtimes (id, node_id) values (${runtimeId}, ${row.nodeId}) on conflict (id) do nothing`);
  return 'taken';
}
