import type { EntityManager } from '@mikro-orm/postgresql';
import { IS_HEAD, SHARD_OWNER } from './pending-turns.ts';
import { PROCESS_LEASE_MS } from './process-lease.ts';

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

const WATCHED = `(select w.instance_id, w.shard_epoch from jsonb_to_recordset(?::jsonb) as w (instance_id text, shard_epoch bigint))`;

function watchedJson(instances: readonly WatchedInstance[]): string {
  return JSON.stringify(instances.map(({ instanceId, shardEpoch }) => ({ instance_id: instanceId, shard_epoch: shardEpoch })));
}

/** Takes the pending turns whose process has not been seen for too long, of the instances whose shard is still held. */
export async function takeOverTurns(em: EntityManager, instances: readonly WatchedInstance[]): Promise<number> {
  const rows = await em.execute<{ id: string }[]>(
    `update messages m set owner = ?
       from ${WATCHED} watched
       join instances i on i.id = watched.instance_id
       join watch_shards s on s.shard = i.shard and s.epoch = watched.shard_epoch
      where m.instance_id = i.id and m.status = 'pending' and m.owner <> ?
        and not exists (select 1 from processes p where p.id = m.owner and p.seen_at > now() - make_interval(secs => ?))
     returning m.id`,
    [SHARD_OWNER, watchedJson(instances), SHARD_OWNER, PROCESS_LEASE_MS / 1_000],
  );
  return rows.length;
}

/**
 * What is to be done for these instances now: heads that the watcher sends, turns in flight that it follows, turns
 * that ran too long (whoever owns them), and ended ones of which the gateway must still be told.
 */
export async function listTurnDuties(
  em: EntityManager,
  instances: readonly WatchedInstance[],
  turnTimeoutMs: number,
): Promise<TurnDuty[]> {
  const watched = watchedJson(instances);
  return em.execute<TurnDuty[]>(
    `select m.id as "messageId", m.instance_id as "instanceId",
            case when m.attempt = 0 then 'send'
                 when m.sent_at < now() - make_interval(secs => ?) then 'time-out'
                 else 'follow' end as duty
       from ${WATCHED} watched join messages m on m.instance_id = watched.instance_id
      where m.status = 'pending'
        and (case when m.attempt = 0 then m.owner = ? and ${IS_HEAD}
                  else m.owner = ? or m.sent_at < now() - make_interval(secs => ?) end)
     union all
     select m.id, m.instance_id, 'abort'
       from ${WATCHED} watched join messages m on m.instance_id = watched.instance_id
      where m.abort_due`,
    [turnTimeoutMs / 1_000, watched, SHARD_OWNER, SHARD_OWNER, turnTimeoutMs / 1_000, watched],
  );
}
