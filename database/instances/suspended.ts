import type { EntityManager } from '@mikro-orm/postgresql';
import { isAsleep } from '../../domain/lifecycle.ts';
import { query, sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { IS_SUSPENDED } from './lifecycle-sql.ts';

export interface SuspendedRow {
  instanceId: string;
  runtimeId: string;
}

/** Every sleeper of this node (null: of none) whose gateway is suspended, as its row says. */
export async function findSuspended(em: EntityManager, nodeId: number | null): Promise<SuspendedRow[]> {
  return query<SuspendedRow>(
    em,
    sql`select instances.id as "instanceId", runtime_id as "runtimeId"
       from instances join runtimes on runtimes.id = runtime_id
      where ${IS_SUSPENDED} and node_id is not distinct from ${nodeId}`,
  );
}

/** Sleepers of these shards whose gateway is suspended for longer than this, those that are for longest first. */
export async function findLongSuspended(
  em: EntityManager,
  { shards, forMs, limit }: { shards: readonly number[]; forMs: number; limit: number },
): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select id from instances
      where shard = any(${[...shards]}) and ${IS_SUSPENDED} and suspended_at <= now() - make_interval(secs => ${forMs / 1_000})
      order by suspended_at, id limit ${limit}`,
  );
  return rows.map(({ id }) => id);
}

/**
 * Has the suspended gateway of a sleeper ended, in the caller's transaction; the instance sleeps on. False, and nothing changed,
 * when none is suspended any more.
 */
export async function endSuspension(em: EntityManager, instanceId: string): Promise<boolean> {
  const ended = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'suspension-ended' },
    allows: (row) => isAsleep(row) && row.suspendedAt !== null,
  });
  return ended !== null;
}
