import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { anyOf, fromNow, NOW, sql } from '../sql.ts';
import { LEASE_BEGAN } from './process-lease.ts';

/** After this long without a renewal (database clock) another worker may take a shard. */
const SHARD_LEASE_MS = 10_000;

export interface ShardLease {
  shard: number;
  /** Raised each time that the shard is taken: what an earlier holder still writes is refused. */
  epoch: number;
}

/** The workers of this node that live, in the order of their ids; those of the version before are of any node. */
export async function liveWorkers(em: EntityManager, nodeId: number | null): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Process')
    .select('id')
    .where('kind', '=', 'worker')
    .where((eb) => eb.or([eb('node', 'is', null), eb('node', '=', nodeId)]))
    .where('seenAt', '>', LEASE_BEGAN)
    .orderBy('id')
    .execute();
  return rows.map(({ id }) => id);
}

/** Renews the leases and answers those that are still this owner's. */
export async function renewShards(em: EntityManager, owner: string, leases: readonly ShardLease[]): Promise<ShardLease[]> {
  if (leases.length === 0) return [];
  const rows = await db(em)
    .updateTable('WatchShard')
    .set({ expiresAt: fromNow(SHARD_LEASE_MS) })
    .where('owner', '=', owner)
    .where('shard', '=', anyOf(leases.map(({ shard }) => shard)))
    .returning(['shard', 'epoch'])
    .execute();
  return rows.filter(({ shard, epoch }) => leases.some((lease) => lease.shard === shard && lease.epoch === epoch));
}

/** Takes at most this many shards of this node that have no owner or an expired lease, or that this owner held and failed to renew. */
export async function takeShards(
  em: EntityManager,
  { owner, nodeId = null, limit, held }: { owner: string; nodeId?: number | null; limit: number; held: readonly number[] },
): Promise<ShardLease[]> {
  return db(em)
    .with('free', (free) =>
      free
        .selectFrom('WatchShard')
        .select('shard')
        .where((eb) => eb.or([eb('owner', 'is', null), eb('owner', '=', owner), eb('expiresAt', '<', NOW)]))
        .where('shard', '<>', sql<number>`all(${[-1, ...held]})`)
        .where('node', 'is not distinct from', nodeId)
        .orderBy('shard')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('WatchShard')
    .set((eb) => ({ owner, epoch: eb('WatchShard.epoch', '+', 1), expiresAt: fromNow(SHARD_LEASE_MS) }))
    .from('free')
    .whereRef('WatchShard.shard', '=', 'free.shard')
    .returning(['WatchShard.shard', 'WatchShard.epoch'])
    .execute();
}

/** Gives shards back, for others to take at once. */
export async function giveBackShards(em: EntityManager, owner: string, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  await db(em)
    .updateTable('WatchShard')
    .set({ owner: null, expiresAt: null })
    .where('owner', '=', owner)
    .where('shard', '=', anyOf(shards))
    .execute();
}
