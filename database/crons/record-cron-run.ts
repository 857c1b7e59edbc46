import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnFailure } from '../../domain/turn.ts';
import { claimOccurrence } from '../events/record-event.ts';
import { recordSpoken } from '../messages/record-spoken.ts';
import type { RecordOptions, Speaker } from '../messages/record-spoken.ts';
import { isStorageFull } from '../accounts/stored-bytes.ts';
import { query, run, sql } from '../sql.ts';

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
  await run(
    em,
    sql`update cron_jobs set last_run_at = ${runAt}, last_run_status = ${error === null ? 'ok' : 'error'}, last_event_id = ${eventId}
      where instance_id = ${instanceId} and gateway_job_id = ${gatewayJobId} and coalesce(last_run_at < ${runAt}, true)`,
  );
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
  const [job] = await query<{ lateMs: number | null }>(
    em,
    sql`with job as (
       select job.id, case when job.next_run_at <= ${runAt} then job.next_run_at else job.due_at end as due, i.sleep_since, i.wake_ms
         from cron_jobs job join instances i on i.id = job.instance_id
        where job.instance_id = ${instanceId} and job.gateway_job_id = ${gatewayJobId}
     ), taken as (update cron_jobs set due_at = null from job where cron_jobs.id = job.id)
     select case when due < sleep_since and ${runAt}::timestamptz >= sleep_since - make_interval(secs => coalesce(wake_ms, 0) / 1000.0)
                 then (extract(epoch from ${runAt}::timestamptz - due) * 1000)::int end as "lateMs" from job`,
  );
  const lateMs = job?.lateMs ?? null;
  return lateMs !== null && lateMs >= LEAST_LATE_MS ? lateMs : null;
}

/** Keeps the instance from being deleted until the transaction ends. */
async function findOwner(em: EntityManager, { instanceId, gatewayJobId, gatewayAgentId }: CronResult): Promise<Owner | null> {
  const [owner] = await query<Owner>(
    em,
    sql`select agents.account_id as "accountId", agents.instance_id as "instanceId", agents.id as "agentId",
            agents.slug, agents.display_name as "displayName", job.name as "jobName", job.conversation_id as "conversationId"
       from agents
       join instances on instances.id = agents.instance_id and instances.desired_status <> 'destroyed'
       left join cron_jobs job on job.instance_id = agents.instance_id and job.gateway_job_id = ${gatewayJobId}
      where agents.instance_id = ${instanceId} and agents.deleted_at is null
        and (agents.gateway_agent_id = ${gatewayAgentId} or (${gatewayAgentId}::text is null and agents.id = job.agent_id))
        for share of instances`,
  );
  return owner ?? null;
}
