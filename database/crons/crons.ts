import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** A job as its gateway shows it. */
export interface SeenCron {
  gatewayJobId: string;
  /** The agent's name inside the gateway. */
  gatewayAgentId: string;
  /** The id under which the API added it; null for the job of an agent. */
  cronId: string | null;
  name: string;
  message: string;
  enabled: boolean;
  /** JSON as the API shows it. */
  schedule: string | null;
  nextRunAt: Date | null;
  /** The conversation that its results are added to. */
  conversationId: string | null;
  updatedAt: Date;
}

const DEFINITION = ['name', 'message', 'enabled', 'schedule', 'next_run_at', 'conversation_id', 'gateway_updated_at'] as const;
const DEFINITION_COLUMNS = sql.raw(DEFINITION.join(', '));
const TAKE_DEFINITION = sql.raw(DEFINITION.map((column) => `${column} = excluded.${column}`).join(', '));

/** The newest moment of a job that has passed when its gateway shows the next one. */
const DUE_AT = sql`case when cron_jobs.next_run_at <= clock_timestamp() and excluded.next_run_at is distinct from cron_jobs.next_run_at
  then cron_jobs.next_run_at else cron_jobs.due_at end`;

/**
 * Writes down how a job is now, in the caller's transaction: under `newId` when it was not known. What the gateway
 * showed earlier never overwrites what it showed later, and a job that is gone stays so.
 */
export async function noteCron(em: EntityManager, instanceId: string, cron: SeenCron, newId: string): Promise<void> {
  const { gatewayJobId, gatewayAgentId, cronId } = cron;
  if (cronId !== null)
    await run(
      em,
      sql`update cron_jobs set gateway_job_id = ${gatewayJobId}
        where id = ${cronId} and instance_id = ${instanceId} and gateway_job_id is null
          and not exists (select from cron_jobs taken where taken.instance_id = ${instanceId} and taken.gateway_job_id = ${gatewayJobId})`,
    );
  const { name, message, enabled, schedule, nextRunAt, conversationId, updatedAt } = cron;
  const definition = sql`${name}, ${message}, ${enabled}::boolean, ${schedule}, ${nextRunAt}::timestamptz, ${conversationId}, ${updatedAt}::timestamptz`;
  await run(
    em,
    sql`insert into cron_jobs (id, instance_id, agent_id, gateway_job_id, created_by, ${DEFINITION_COLUMNS}, created_at, seen_at)
     select ${newId}, instance_id, id, ${gatewayJobId}, 'agent', ${definition}, clock_timestamp(), clock_timestamp()
       from agents where instance_id = ${instanceId} and gateway_agent_id = ${gatewayAgentId}
     on conflict on constraint cron_jobs_gateway_job_unique do update
        set seen_at = excluded.seen_at, due_at = ${DUE_AT}, ${TAKE_DEFINITION}
      where cron_jobs.removed_at is null
        and coalesce(cron_jobs.gateway_updated_at <= excluded.gateway_updated_at, true)`,
  );
}

/** The job is gone from its gateway. Its name is kept. */
export async function noteCronRemoved(em: EntityManager, instanceId: string, gatewayJobId: string): Promise<void> {
  await run(
    em,
    sql`update cron_jobs set removed_at = clock_timestamp(), next_run_at = null
      where instance_id = ${instanceId} and gateway_job_id = ${gatewayJobId} and removed_at is null`,
  );
}

/** The moment by the database clock, to be taken before a list of jobs is asked for. */
export async function databaseNow(em: EntityManager): Promise<Date> {
  const [row] = await query<{ now: string }>(
    em,
    sql`select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`,
  );
  if (!row) throw new Error('the database told no time');
  return new Date(row.now);
}

/**
 * Marks every job of the instance as gone that is not listed and was last seen before the list was asked for. Deletes jobs
 * that the API did not hand over to the gateway within a day, and those that have been gone for 30 days.
 */
export async function noteCronsGone(
  em: EntityManager,
  { instanceId, listed, askedAt }: { instanceId: string; listed: readonly string[]; askedAt: Date },
): Promise<void> {
  await run(
    em,
    sql`update cron_jobs set removed_at = clock_timestamp(), next_run_at = null
      where instance_id = ${instanceId} and removed_at is null and gateway_job_id is not null and seen_at < ${askedAt}
        and not exists (select from jsonb_array_elements_text(${JSON.stringify(listed)}::jsonb) as listed (id) where listed.id = gateway_job_id)`,
  );
  await run(
    em,
    sql`delete from cron_jobs
      where instance_id = ${instanceId}
        and (removed_at < clock_timestamp() - interval '30 days'
             or (gateway_job_id is null and created_at < clock_timestamp() - interval '1 day'))`,
  );
}

/** The gateway's agent of a job, and its message; also of a job that is gone. Null when the job was never seen. */
export async function findSeenCron(
  em: EntityManager,
  { instanceId, gatewayJobId }: { instanceId: string; gatewayJobId: string },
): Promise<{ gatewayAgentId: string; message: string } | null> {
  const [job] = await query<{ gatewayAgentId: string; message: string }>(
    em,
    sql`select gateway_agent_id as "gatewayAgentId", message from cron_jobs join agents on agents.id = agent_id
      where cron_jobs.instance_id = ${instanceId} and gateway_job_id = ${gatewayJobId}`,
  );
  return job ?? null;
}

/** Whether a job is going to run, as it was last seen. */
export async function hasNextRun(
  em: EntityManager,
  { instanceId, gatewayJobId }: { instanceId: string; gatewayJobId: string },
): Promise<boolean> {
  const rows = await query<unknown>(
    em,
    sql`select from cron_jobs
      where instance_id = ${instanceId} and gateway_job_id = ${gatewayJobId} and removed_at is null and enabled and next_run_at is not null`,
  );
  return rows.length > 0;
}

/** The jobs of deleted agents that the gateway still has. */
export async function findOrphanCrons(em: EntityManager, instanceId: string): Promise<string[]> {
  const rows = await query<{ jobId: string }>(
    em,
    sql`select gateway_job_id as "jobId" from cron_jobs join agents on agents.id = agent_id
      where cron_jobs.instance_id = ${instanceId} and cron_jobs.removed_at is null and gateway_job_id is not null and agents.deleted_at is not null`,
  );
  return rows.map(({ jobId }) => jobId);
}

/** Which of these occurrences of an instance are recorded already. */
export async function findRecorded(em: EntityManager, instanceId: string, keys: readonly string[]): Promise<Set<string>> {
  const rows = await query<{ key: string }>(
    em,
    sql`select key from event_occurrences
      where instance_id = ${instanceId} and key in (select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`,
  );
  return new Set(rows.map(({ key }) => key));
}

/** Until when every run of the instance's jobs is recorded; null: not known. */
export async function cronRunsReadTo(em: EntityManager, instanceId: string): Promise<number | null> {
  const [row] = await query<{ ms: number | null }>(
    em,
    sql`select (extract(epoch from cron_runs_read_to) * 1000)::float8 as ms from instances where id = ${instanceId}`,
  );
  return row?.ms ?? null;
}

/** Every run that ended until then is recorded. Never goes back. */
export async function noteCronRunsRead(em: EntityManager, instanceId: string, endedAt: Date): Promise<void> {
  await run(
    em,
    sql`update instances set cron_runs_read_to = ${endedAt} where id = ${instanceId} and coalesce(cron_runs_read_to < ${endedAt}, true)`,
  );
}

/**
 * How many jobs an agent has, with those that are being added: a call that adds one ends within a minute. Locks the agent until
 * the transaction ends, so that its jobs are added one after the other.
 */
export async function countCronsLocked(em: EntityManager, agentId: string): Promise<number> {
  await query(em, sql`select id from agents where id = ${agentId} for no key update`);
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::float8 as count from cron_jobs
      where agent_id = ${agentId} and removed_at is null
        and (gateway_job_id is not null or created_at > clock_timestamp() - interval '1 minute')`,
  );
  return row?.count ?? 0;
}

/** Deletes the row of a job that its gateway did not accept. */
export async function dropUnsentCron(em: EntityManager, id: string): Promise<void> {
  await run(em, sql`delete from cron_jobs where id = ${id} and gateway_job_id is null`);
}
