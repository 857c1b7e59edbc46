import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeTime } from '../../domain/sleep.ts';
import type { SleepPace } from '../../domain/sleep.ts';
import { closeInterval } from '../billing/intervals.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { readLifecycle } from './find-lifecycle.ts';
import { takesMessages } from './lifecycle-sql.ts';

/** A job that its gateway has not run by then is taken for one that it does not run. */
const OVERDUE = sql`interval '10 minutes'`;

const JOBS = sql`select next_run_at from cron_jobs
  where cron_jobs.instance_id = i.id and removed_at is null and enabled and next_run_at > now() - ${OVERDUE}`;

/** When an instance `i` was last used: each turn, run of a job and unprompted message ends with an event. */
const LAST_USED = sql`greatest(i.started_at, i.used_at,
  (select recorded_at from events where events.instance_id = i.id order by seq desc limit 1))`;

/** Nothing runs or waits in an instance `i`, nothing of it is to be changed, and no job is near. */
const isIdle = ({ leastRestMs }: Pick<SleepPace, 'leastRestMs'>): Sql => sql`
  i.sleep_after_ms is not null and ${takesMessages('i')}
  and i.content_generation <= i.applied_content_generation and i.restart_generation <= i.applied_restart_generation
  and ${LAST_USED} <= now() - make_interval(secs => i.sleep_after_ms / 1000.0)
  and not exists (select from messages where messages.instance_id = i.id and messages.status = 'pending')
  and not exists (select from open_model_calls where open_model_calls.instance_id = i.id)
  and not exists (select from cron_jobs where cron_jobs.instance_id = i.id and gateway_job_id is null and created_at > now() - interval '1 minute')
  and not exists (${JOBS} and next_run_at < now() + make_interval(secs => greatest(${leastRestMs}, 2 * coalesce(i.wake_ms, 0)) / 1000.0))`;

export interface IdleInstance {
  instanceId: string;
  runtimeId: string;
}

/** Instances of these shards that may fall asleep, at most `limit`. */
export async function findIdle(
  em: EntityManager,
  { shards, pace, limit }: { shards: readonly number[]; pace: SleepPace; limit: number },
): Promise<IdleInstance[]> {
  return query<IdleInstance>(
    em,
    sql`select i.id as "instanceId", i.runtime_id as "runtimeId" from instances i
      where i.shard = any(${[...shards]}) and i.boot_id is not null and ${isIdle(pace)} order by i.id limit ${limit}`,
  );
}

/**
 * Puts an instance to sleep as far as the database goes, in the caller's transaction: its meter ends, it has no gateway
 * any more, and the reconciler is woken to end that one. False, and nothing changed, when it is used by now. Locks the instance,
 * so that a message is either accepted before and keeps it awake, or accepted after and wakes it.
 */
export async function fallAsleep(
  em: EntityManager,
  { instanceId, pace }: { instanceId: string; pace: SleepPace },
): Promise<boolean> {
  const row = await readLifecycle(em, instanceId, { lock: true });
  if (!row || row.deletedAt !== null) return false;
  // A second statement, whose snapshot includes what was committed while the first one waited for its lock.
  const [idle] = await query<{ nextJobMs: number | null }>(
    em,
    sql`select (extract(epoch from (select min(next_run_at) from (${JOBS} and next_run_at > now()) jobs)) * 1000)::float8 as "nextJobMs"
       from instances i where i.id = ${instanceId} and ${isIdle(pace)}`,
  );
  if (!idle) return false;
  const nextJobAt = idle.nextJobMs === null ? null : new Date(idle.nextJobMs);
  const wakesAt = wakeTime({ nextJobAt, wakeMs: row.wakeMs }, pace);
  await changeLifecycle(em, { instanceId, happening: { kind: 'fell-asleep', wakesAt } });
  await closeInterval(em, instanceId);
  return true;
}
