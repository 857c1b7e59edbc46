import type { EntityManager } from '@mikro-orm/postgresql';
import { PROCESS_LEASE_MS } from './process-lease.ts';

/** After this long without a renewal (database clock) another worker may take a shard. */
const SHARD_LEASE = "interval '10 seconds'";

export interface ShardLease {
  shard: number;
  /** Raised each time that the shard is taken: what an earlier holder still writes is refused. */
  epoch: number;
}

/** The workers that live, in the order of their ids. */
export async function liveWorkers(em: EntityManager): Promise<string[]> {
  const rows = await em.execute<{ id: string }[]>(
    `select id from processes where kind = 'worker' and seen_at > now() - make_interval(secs => ?) order by id`,
    [PROCESS_LEASE_MS / 1_000],
  );
  return rows.map(({ id }) => id);
}

/** Renews the leases and answers those that are still this owner's. */
export async function renewShards(em: EntityManager, owner: string, leases: readonly ShardLease[]): Promise<ShardLease[]> {
  if (leases.length === 0) return [];
  const rows = await em.execute<ShardLease[]>(
    `update watch_shards set expires_at = now() + ${SHARD_LEASE} where owner = ? and shard in (?)
     returning shard, epoch::float8 as epoch`,
    [owner, leases.map(({ shard }) => shard)],
  );
  return rows.filter(({ shard, epoch }) => leases.some((lease) => lease.shard === shard && lease.epoch === epoch));
}

/** Takes at most this many shards that nobody holds, or that this owner had let slip. */
export async function takeShards(
  em: EntityManager,
  { owner, limit, held }: { owner: string; limit: number; held: readonly number[] },
): Promise<ShardLease[]> {
  return em.execute<ShardLease[]>(
    `with free as (
       select shard from watch_shards
        where (owner is null or owner = ? or expires_at < now()) and shard not in (?)
        order by shard limit ? for update skip locked
     )
     update watch_shards set owner = ?, epoch = epoch + 1, expires_at = now() + ${SHARD_LEASE}
       from free where watch_shards.shard = free.shard
     returning watch_shards.shard, watch_shards.epoch::float8 as epoch`,
    // -1 stands for none: a list may not be empty.
    [owner, [-1, ...held], limit, owner],
  );
}

/** Gives shards back, for others to take at once. */
export async function giveBackShards(em: EntityManager, owner: string, shards: readonly number[]): Promise<void> {
  if (shards.length === 0) return;
  await em.execute(
    'update watch_shards set owner = null, expires_at = null where owner = ? and shard in (?)',
    [owner, [...shards]],
    'run',
  );
}
