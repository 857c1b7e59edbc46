import type { EntityManager } from '@mikro-orm/postgresql';
import { PROCESS_LEASE_MS } from './process-lease.ts';
import { query, run, sql } from '../sql.ts';

/** After this long without a renewal (database clock) another worker may take a shard. */
const SHARD_LEASE = sql`interval '10 seconds'`;

export interface ShardLease {
  shard: number;
  /** Raised each time that the shard is taken: what an earlier holder still writes is refused. */
  epoch: number;
}

/** The workers of this node that live, in the order of their ids; those of the version before are of any node. */
export async function liveWorkers(em: EntityManager, nodeId: number | null): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`select id from processes where kind = 'worker' and (node_id is null or node_id = ${nodeId}) and seen_at > now() - make_interval(secs => ${PROCESS_LEASE_MS / 1_000}) order by id`,
  );
  return rows.map(({ id }) => id);
}

/** Renews the leases and answers those that are still this owner's. */
export async function renewShards(em: EntityManager, owner: string, leases: readonly ShardLease[]): Promise<ShardLease[]> {
  if (leases.length === 0) return [];
  const rows = await query<ShardLease>(
    em,
    sql`update watch_shards set expires_at = now() + ${SHARD_LEASE} where owner = ${owner} and shard = any(${leases.map(({ shard }) => shard)})
     returning shard, epoch::float8 as epoch`,
  );
  return rows.filter(({ shard, epoch }) => leases.some((lease) => lease.shard === shard && lease.epoch === epoch));
}

/** Takes at most this many shards of this node that have no owner or an expired lease, or that this owner held and failed to renew. */
export async function takeShards(
  em: EntityManager,
  { owner, nodeId = null, limit, held }: { owner: string; nodeId?: number | null; limit: number; held: readonly number[] },
): Promise<ShardLease[]> {
  return query<ShardLease>(
    em,
    sql`with free as (
       select shard from watch_shards
        where (owner is null or owner = ${owner} or expires_at < now()) and shard <> all(${[-1, ...held]}) and node_id is not distinct from ${nodeId}
        order by shard limit ${limit} for update skip locked
     )
     update watch_shards set owner = ${owner}, epoch = epoch + 1, expires_at = now() + ${SHARD_LEASE}
       from free where watch_shards.shard = free.shard
     returning watch_shards.shard, watch_shards.epoch::float8 as epoch`,
  );
}

/** Gives shards back, for others to take at once. */
export async function giveBackShards(em: EntityManager, owner: string, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  await run(
    em,
    sql`update watch_shards set owner = null, expires_at = null where owner = ${owner} and shard = any(${[...shards]})`,
  );
}
