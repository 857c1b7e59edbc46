import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeTime } from '../../../domain/sleep.ts';
import type { SleepPace } from '../../../domain/sleep.ts';
import { closeInterval } from '../../billing/intervals.ts';
import { columns, db } from '../../db.ts';
import { CronJob } from '../../entities/cron-job.ts';
import { Event } from '../../entities/event.ts';
import { Instance } from '../../entities/instance.ts';
import { Message } from '../../entities/message.ts';
import { OpenModelCall } from '../../entities/open-model-call.ts';
import { anyOf, epochMs, fromNow, sql } from '../../sql.ts';
import { changeLifecycle } from '../lifecycle/change-lifecycle.ts';
import { readLifecycle } from '../lifecycle/find-lifecycle.ts';
import { takesMessages } from '../lifecycle/lifecycle-sql.ts';

/** A job that its gateway has not run by then is taken for one that it does not run. */
const OVERDUE_MS = 600_000;

const I = columns(Instance, 'i');
const JOB = columns(CronJob, 'cron_jobs');
const EVENT = columns(Event, 'events');
const MESSAGE = columns(Message, 'messages');
const CALL = columns(OpenModelCall, 'open_model_calls');

const JOBS = sql`select ${JOB.nextRunAt} from cron_jobs
  where ${JOB.instance} = ${I.id} and ${JOB.removedAt} is null and ${JOB.enabled} and ${JOB.nextRunAt} > ${fromNow(-OVERDUE_MS)}`;

/** When an instance `i` was last used: each turn, run of a job and unprompted message ends with an event. */
const LAST_USED = sql<Date>`greatest(${I.startedAt}, ${I.usedAt},
  (select ${EVENT.recordedAt} from events where ${EVENT.instance} = ${I.id} order by ${EVENT.seq} desc limit 1))`;

/** Nothing runs or waits in an instance `i`, nothing of it is to be changed, and no job is near. */
const isIdle = ({ leastRestMs }: Pick<SleepPace, 'leastRestMs'>) => sql<boolean>`
  ${I.sleepAfterMs} is not null and ${takesMessages('i')}
  and ${I.contentGeneration} <= ${I.appliedContentGeneration} and ${I.restartGeneration} <= ${I.appliedRestartGeneration}
  and ${LAST_USED} <= now() - make_interval(secs => ${I.sleepAfterMs} / 1000.0)
  and not exists (select from messages where ${MESSAGE.instance} = ${I.id} and ${MESSAGE.status} = 'pending')
  and not exists (select from open_model_calls where ${CALL.instance} = ${I.id})
  and not exists (select from cron_jobs
                   where ${JOB.instance} = ${I.id} and ${JOB.gatewayJobId} is null and ${JOB.createdAt} > ${fromNow(-60_000)})
  and not exists (${JOBS} and ${JOB.nextRunAt} < now() + make_interval(secs => greatest(${leastRestMs}, 2 * coalesce(${I.wakeMs}, 0)) / 1000.0))`;

/** When the next job of an instance `i` is due. */
const NEXT_JOB = sql<Date | null>`(select min(next_run_at) from (${JOBS} and ${JOB.nextRunAt} > now()) jobs (next_run_at))`;

export interface IdleInstance {
  instanceId: string;
  runtimeId: string;
}

/** Instances of these shards that may fall asleep, at most `limit`. */
export async function findIdle(
  em: EntityManager,
  { shards, pace, limit }: { shards: readonly number[]; pace: SleepPace; limit: number },
): Promise<IdleInstance[]> {
  return db(em)
    .selectFrom('Instance as i')
    .select(['i.id as instanceId', 'i.runtimeId'])
    .where('i.shard', '=', anyOf(shards))
    .where('i.bootId', 'is not', null)
    .where(isIdle(pace))
    .orderBy('i.id')
    .limit(limit)
    .execute();
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
  const idle = await db(em)
    .selectFrom('Instance as i')
    .select(epochMs(NEXT_JOB).as('nextJobMs'))
    .where('i.id', '=', instanceId)
    .where(isIdle(pace))
    .executeTakeFirst();
  if (!idle) return false;
  const nextJobAt = idle.nextJobMs === null ? null : new Date(idle.nextJobMs);
  const wakesAt = wakeTime({ nextJobAt, wakeMs: row.wakeMs }, pace);
  await changeLifecycle(em, { instanceId, happening: { kind: 'fell-asleep', wakesAt } });
  await closeInterval(em, instanceId);
  return true;
}
