import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnFailure } from '../../domain/turn.ts';
import { claimOccurrence } from '../events/record-event.ts';
import { recordSpoken } from '../messages/record-spoken.ts';
import type { RecordOptions, Speaker } from '../messages/record-spoken.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { db } from '../db.ts';
import { sql } from '../sql.ts';

export interface CronResult {
  instanceId: string;
  gatewayJobId: string;
  /** The agent's name inside the gateway; null: whose the job is known to be. */
  gatewayAgentId: string | null;
  /** Null: the name that is known. */
  jobName: string | null;
  runAt: Date;
  /** When it was over, by the gateway's clock. */
  saidAt: Date;
  /** The conversation in which it ran; null: the job's own session. */
  conversationId: string | null;
  /** What it said was added to the job's conversation, if it has one. */
  isDelivered: boolean;
  /** Null where the run failed. */
  content: string | null;
  contentTruncated: boolean;
  error: { code: TurnFailure; message: string } | null;
}

interface Owner extends Speaker {
  /** Of the job, as far as it is known. */
  jobName: string | null;
  conversationId: string | null;
}

const UNNAMED = 'cron job';

/** Names one run of a job for ever. */
export function cronOccurrence(gatewayJobId: string, runAtMs: number): string {
  return `cron:${gatewayJobId}:${runAtMs}`;
}

/**
 * Records what a run of a job came to, as a message with its event, in the caller's transaction, which must do nothing
 * after it. False, and nothing changed, when it was recorded before, when its agent or instance was deleted, or while its
 * account stores all that it may.
 */
export async function recordCronRun(em: EntityManager, result: CronResult, options: RecordOptions): Promise<boolean> {
  const { instanceId, gatewayJobId, runAt, error } = result;
  const owner = await findOwner(em, result);
  if (!owner || (await isStorageFull(em, owner.accountId, options.maxStoredBytes))) return false;
  if (!(await claimOccurrence(em, instanceId, cronOccurrence(gatewayJobId, runAt.getTime())))) return false;
  const eventId = options.makeId('evt');
  const lateMs = await takeLateness(em, result);
  await db(em)
    .updateTable('CronJob')
    .set({ lastRunAt: runAt, lastRunStatus: error === null ? 'ok' : 'error', lastEventId: eventId })
    .where('instance', '=', instanceId)
    .where('gatewayJobId', '=', gatewayJobId)
    .where((eb) => eb.or([eb('lastRunAt', 'is', null), eb('lastRunAt', '<', runAt)]))
    .execute();
  const jobName = result.jobName ?? owner.jobName ?? UNNAMED;
  const conversationId = result.conversationId ?? (result.isDelivered ? owner.conversationId : null);
  await recordSpoken(em, { ...result, eventId, speaker: owner, jobName, lateMs, conversationId, finishReason: null }, options);
  return true;
}

/** Less is not worth saying. */
const LEAST_LATE_MS = 1_000;

/**
 * How late a run began, where its moment passed before its instance was awake again; null where it did not. The moment is
 * forgotten with that: another run has its own.
 */
async function takeLateness(em: EntityManager, { instanceId, gatewayJobId, runAt }: CronResult): Promise<number | null> {
  const job = await db(em)
    .with('job', (query) =>
      query
        .selectFrom('CronJob as j')
        .innerJoin('Instance as i', 'i.id', 'j.instance')
        .select(['j.id', 'i.sleepSince as since', 'i.wakeMs as wake'])
        .select((eb) =>
          eb.case().when('j.nextRunAt', '<=', runAt).then(eb.ref('j.nextRunAt')).else(eb.ref('j.dueAt')).end().as('due'),
        )
        .where('j.instance', '=', instanceId)
        .where('j.gatewayJobId', '=', gatewayJobId),
    )
    .with('taken', (query) => query.updateTable('CronJob').set({ dueAt: null }).from('job').whereRef('CronJob.id', '=', 'job.id'))
    .selectFrom('job')
    .select(({ ref }) => {
      const [due, since] = [ref('job.due'), ref('job.since')];
      return sql<number | null>`
        case when ${due} < ${since} and ${runAt}::timestamptz >= ${since} - make_interval(secs => coalesce(${ref('job.wake')}, 0) / 1000.0)
             then (extract(epoch from ${runAt}::timestamptz - ${due}) * 1000)::int end`.as('lateMs');
    })
    .executeTakeFirst();
  const lateMs = job?.lateMs ?? null;
  return lateMs !== null && lateMs >= LEAST_LATE_MS ? lateMs : null;
}

/** Keeps the instance from being deleted until the transaction ends. */
async function findOwner(em: EntityManager, { instanceId, gatewayJobId, gatewayAgentId }: CronResult): Promise<Owner | null> {
  const owner = await db(em)
    .selectFrom('Agent as a')
    .innerJoin('Instance as i', 'i.id', 'a.instance')
    .leftJoin('CronJob as j', (j) => j.onRef('j.instance', '=', 'a.instance').on('j.gatewayJobId', '=', gatewayJobId))
    .select(['a.account as accountId', 'a.instance as instanceId', 'a.id as agentId', 'a.slug', 'a.displayName'])
    .select(['j.name as jobName', 'j.conversationId'])
    .where('i.desiredStatus', '<>', 'destroyed')
    .where('a.instance', '=', instanceId)
    .where('a.deletedAt', 'is', null)
    .where((eb) => (gatewayAgentId === null ? eb('a.id', '=', eb.ref('j.agent')) : eb('a.gatewayAgentId', '=', gatewayAgentId)))
    .forShare('i')
    .executeTakeFirst();
  return owner ?? null;
}
