import type { EntityManager } from '@mikro-orm/postgresql';
import type { ShardLease } from './shard-leases.ts';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';

/** What a round of pings changes for one gateway process: it answers now, or does not any more. */
export interface LifeSign {
  instanceId: string;
  bootId: string;
  shard: number;
  answered: boolean;
}

/** The database's time, as PostgreSQL writes it. */
export async function databaseNow(em: EntityManager): Promise<string> {
  const { now } = await db(em)
    .selectNoFrom(sql<string>`clock_timestamp()::text`.as('now'))
    .executeTakeFirstOrThrow();
  return now;
}

const SHARD = columns(WatchShard, 'watch_shards');
const ALIVE_UNTIL = columns(WatchShard).aliveUntil;
const INSTANCE = columns(Instance, 'instances');
const INTERVAL = columns(RuntimeInterval, 'runtime_intervals');
const LOST_AT = columns(RuntimeInterval).lostAt;

/** The last moment at which a gateway that does not answer is proven to have run. */
const PROVEN_BEFORE = sql`greatest(${INTERVAL.startedAt}, coalesce(held.before, ${INTERVAL.startedAt}))`;
/** The interval is open, or ended after what was proven before. */
const ENDS_LATER = sql`(${INTERVAL.endedAt} is null or held.before is null or ${INTERVAL.endedAt} > held.before)`;

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
  const changed = JSON.stringify(changes);
  const rows = await fetchRows(
    em,
    { shard: columns(WatchShard, 'proven').shard },
    (fields) => sql`with held as (
       select ${SHARD.shard}, ${SHARD.aliveUntil} as before, coalesce(lease."isFirst", false) as is_first
         from watch_shards join jsonb_to_recordset(${JSON.stringify(leases)}::jsonb) as lease (shard int, epoch bigint, "isFirst" boolean)
           on lease.shard = ${SHARD.shard} and lease.epoch = ${SHARD.epoch}
        where ${SHARD.owner} = ${owner} order by ${SHARD.shard} for update of watch_shards
     ), proven as (
       update watch_shards set ${ALIVE_UNTIL} = greatest(${SHARD.aliveUntil}, ${sentAt}::timestamptz)
         from held where held.shard = ${SHARD.shard}
       returning ${SHARD.shard}
     ), marked as (
       update runtime_intervals set ${LOST_AT} = case when change.answered then null else ${PROVEN_BEFORE} end
         from jsonb_to_recordset(${changed}::jsonb) as change ("instanceId" text, "bootId" text, shard int, answered boolean)
         join held on held.shard = change.shard
        where ${INTERVAL.instance} = change."instanceId" and ${INTERVAL.bootId} = change."bootId"
          and (${INTERVAL.lostAt} is null) <> change.answered and ${ENDS_LATER}
     ), unheard as (
       update runtime_intervals set ${LOST_AT} = ${PROVEN_BEFORE}
         from held join instances on ${INSTANCE.shard} = held.shard
        where held.is_first and ${INTERVAL.instance} = ${INSTANCE.id} and not ${INTERVAL.settled} and ${INTERVAL.lostAt} is null
          and ${ENDS_LATER}
          and not exists (select from jsonb_to_recordset(${changed}::jsonb) as change ("instanceId" text, "bootId" text)
                           where change."instanceId" = ${INSTANCE.id} and change."bootId" = ${INTERVAL.bootId})
     )
     select ${fields} from proven`,
  );
  return rows.map(({ shard }) => shard);
}
