import type { EntityManager } from '@mikro-orm/postgresql';
import type { ShardLease } from './shard-leases.ts';
import { query, sql } from '../sql.ts';

/** What a round of pings changes for one gateway process: it answers now, or does not any more. */
export interface LifeSign {
  instanceId: string;
  bootId: string;
  shard: number;
  answered: boolean;
}

/** The database's time, as PostgreSQL writes it. */
export async function databaseNow(em: EntityManager): Promise<string> {
  const [row] = await query<{ now: string }>(em, sql`select clock_timestamp()::text as now`);
  if (!row) throw new Error('the database did not say what time it is');
  return row.now;
}

interface Round {
  owner: string;
  /** `isFirst`: this holder has not yet written down a round of the shard. */
  leases: readonly (ShardLease & { isFirst?: boolean })[];
  /** When its pings were sent. */
  sentAt: string;
  changes: readonly LifeSign[];
}

/**
 * Writes down a round of pings in one statement: how far the shards' gateways are proven to have run, and which of
 * them are not, from the proof before. In the first round of a holder those that did not answer it are not proven either:
 * it may not have found them yet. Answers the shards that were still held; nothing is written for another.
 */
export async function proveAlive(em: EntityManager, { owner, leases, sentAt, changes }: Round): Promise<number[]> {
  if (leases.length === 0) return [];
  const rows = await query<{ shard: number }>(
    em,
    sql`with held as (
       select watch_shards.shard, alive_until as before, coalesce(lease."isFirst", false) as is_first
         from watch_shards join jsonb_to_recordset(${JSON.stringify(leases)}::jsonb) as lease (shard int, epoch bigint, "isFirst" boolean)
           on lease.shard = watch_shards.shard and lease.epoch = watch_shards.epoch
        where owner = ${owner} order by watch_shards.shard for update of watch_shards
     ), proven as (
       update watch_shards set alive_until = greatest(alive_until, ${sentAt}::timestamptz)
         from held where held.shard = watch_shards.shard
       returning watch_shards.shard
     ), marked as (
       update runtime_intervals
          set lost_at = case when change.answered then null else greatest(started_at, coalesce(held.before, started_at)) end
         from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb) as change ("instanceId" text, "bootId" text, shard int, answered boolean)
         join held on held.shard = change.shard
        where runtime_intervals.instance_id = change."instanceId" and runtime_intervals.boot_id = change."bootId"
          and (runtime_intervals.lost_at is null) <> change.answered
          and (ended_at is null or held.before is null or ended_at > held.before)
     ), unheard as (
       update runtime_intervals set lost_at = greatest(runtime_intervals.started_at, coalesce(held.before, runtime_intervals.started_at))
         from held join instances on instances.shard = held.shard
        where held.is_first and runtime_intervals.instance_id = instances.id and not settled and lost_at is null
          and (ended_at is null or held.before is null or ended_at > held.before)
          and not exists (select from jsonb_to_recordset(${JSON.stringify(changes)}::jsonb) as change ("instanceId" text, "bootId" text)
                           where change."instanceId" = instances.id and change."bootId" = runtime_intervals.boot_id)
     )
     select shard from proven`,
  );
  return rows.map(({ shard }) => shard);
}
