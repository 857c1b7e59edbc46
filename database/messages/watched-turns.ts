import type { EntityManager } from '@mikro-orm/postgresql';
import { IS_HEAD, m, SHARD_OWNER } from './pending-turns.ts';
import { PROCESS_LEASE_MS } from '../processes/process-lease.ts';
import { columns } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { Message } from '../entities/message.ts';
import { Process } from '../entities/process.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchRows } from '../rows.ts';
import { fromNow, run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** An instance that a worker watches, under the lease of its shard. */
export interface WatchedInstance {
  instanceId: string;
  shardEpoch: number;
}

/** Something that a watcher has to do about a turn. */
export interface TurnDuty {
  messageId: string;
  instanceId: string;
  duty: 'send' | 'follow' | 'time-out' | 'abort';
}

/** These instances as a table `watched` of a statement. */
export function watchedRows(instances: readonly WatchedInstance[]): Sql {
  const json = JSON.stringify(
    instances.map(({ instanceId, shardEpoch }) => ({ instance_id: instanceId, shard_epoch: shardEpoch })),
  );
  return sql`jsonb_to_recordset(${json}::jsonb) as watched (instance_id text, shard_epoch bigint)`;
}

/** Takes the pending turns whose process has not been seen for too long, of the instances whose shard is still held. */
export async function takeOverTurns(em: EntityManager, instances: readonly WatchedInstance[]): Promise<number> {
  const i = columns(Instance, 'i');
  const shard = columns(WatchShard, 's');
  const process = columns(Process, 'p');
  const { owner } = columns(Message);
  return run(
    em,
    sql`update messages m set ${owner} = ${SHARD_OWNER}
          from ${watchedRows(instances)}
          join instances i on ${i.id} = watched.instance_id
          join watch_shards s on ${shard.shard} = ${i.shard} and ${shard.epoch} = watched.shard_epoch
         where ${m.instance} = ${i.id} and ${m.status} = 'pending' and ${m.owner} <> ${SHARD_OWNER}
           and not exists (select 1 from processes p where ${process.id} = ${m.owner} and ${process.seenAt} > ${fromNow(-PROCESS_LEASE_MS)})`,
  );
}

/**
 * What is to be done for these instances now: heads that the watcher sends, turns in flight that it follows, turns
 * that ran too long (of any owner), and ended ones that the gateway must still be told to abort.
 */
export async function listTurnDuties(
  em: EntityManager,
  instances: readonly WatchedInstance[],
  turnTimeoutMs: number,
): Promise<TurnDuty[]> {
  const watched = watchedRows(instances);
  const ranTooLong = sql`${m.sentAt} < ${fromNow(-turnTimeoutMs)}`;
  const isOfShard = sql`${m.owner} = ${SHARD_OWNER}`;
  const duty = sql<TurnDuty['duty']>`case when ${m.attempt} = 0 then 'send' when ${ranTooLong} then 'time-out' else 'follow' end`;
  return fetchRows(
    em,
    { messageId: m.id, instanceId: m.instance, duty },
    (fields) => sql`
      select ${fields} from ${watched} join messages m on ${m.instance} = watched.instance_id
       where ${m.status} = 'pending'
         and (case when ${m.attempt} = 0 then ${isOfShard} and ${IS_HEAD} else ${isOfShard} or ${ranTooLong} end)
      union all
      select ${m.id}, ${m.instance}, 'abort' from ${watched} join messages m on ${m.instance} = watched.instance_id
       where ${m.abortDue}`,
  );
}
