import type { EntityManager } from '@mikro-orm/postgresql';
import { isAsleep } from '../../../domain/lifecycle.ts';
import { db } from '../../db.ts';
import { anyOf, fromNow } from '../../sql.ts';
import { changeLifecycle } from '../lifecycle/change-lifecycle.ts';
import { IS_SUSPENDED } from '../lifecycle/lifecycle-sql.ts';

export interface SuspendedRow {
  instanceId: string;
  runtimeId: string;
}

/** Every sleeper of this node (null: of none) whose gateway is suspended, as its row says. */
export async function findSuspended(em: EntityManager, nodeId: number | null): Promise<SuspendedRow[]> {
  return db(em)
    .selectFrom('Instance')
    .innerJoin('Runtime as r', 'r.id', 'Instance.runtimeId')
    .select(['Instance.id as instanceId', 'Instance.runtimeId'])
    .where(IS_SUSPENDED)
    .where('r.node', 'is not distinct from', nodeId)
    .execute();
}

/** Sleepers of these shards whose gateway is suspended for longer than this, those that are for longest first. */
export async function findLongSuspended(
  em: EntityManager,
  { shards, forMs, limit }: { shards: readonly number[]; forMs: number; limit: number },
): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('shard', '=', anyOf(shards))
    .where(IS_SUSPENDED)
    .where('suspendedAt', '<=', fromNow(-forMs))
    .orderBy('suspendedAt')
    .orderBy('id')
    .limit(limit)
    .execute();
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
