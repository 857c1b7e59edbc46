import type { EntityManager } from '@mikro-orm/postgresql';
import type { MakeId } from '../../domain/ids.ts';
import { recordEvent } from './record-event.ts';

export interface CronResult {
  instanceId: string;
  gatewayJobId: string;
  /** The agent's name inside the gateway; null: whose the job is known to be. */
  gatewayAgentId: string | null;
  /** Null: the name that is known. */
  jobName: string | null;
  runAt: Date;
  /** Null where the run failed. */
  content: string | null;
  contentTruncated: boolean;
  error: { code: string; message: string } | null;
}

interface Owner {
  accountId: string;
  agentId: string;
  slug: string;
  displayName: string;
  jobName: string | null;
}

const UNNAMED = 'cron job';

/** Names one run of a job for ever. */
export function cronOccurrence(gatewayJobId: string, runAtMs: number): string {
  return `cron:${gatewayJobId}:${runAtMs}`;
}

/**
 * Records what a run of a job came to, with its event, in the caller's transaction, which must do nothing after it.
 * False, and nothing changed, when it was recorded before, or when its agent or
 * instance was deleted.
 */
export async function recordCronRun(
  em: EntityManager,
  result: CronResult,
  { makeId, now }: { makeId: MakeId; now: Date },
): Promise<boolean> {
  const { instanceId, gatewayJobId, runAt, content, error } = result;
  // Whoever records another run of this job waits here, and then sees what was recorded.
  await em.execute('select id from cron_jobs where instance_id = ? and gateway_job_id = ? for update', [
    instanceId,
    gatewayJobId,
  ]);
  const owner = await findOwner(em, result);
  const occurrenceKey = cronOccurrence(gatewayJobId, runAt.getTime());
  if (!owner || (await isRecorded(em, instanceId, occurrenceKey))) return false;
  const eventId = makeId('evt');
  await em.execute(
    `update cron_jobs set last_run_at = ?, last_run_status = ?, last_event_id = ?
      where instance_id = ? and gateway_job_id = ? and coalesce(last_run_at < ?, true)`,
    [runAt, error === null ? 'ok' : 'error', eventId, instanceId, gatewayJobId, runAt],
    'run',
  );
  const seq = await recordEvent(em, {
    id: eventId,
    accountId: owner.accountId,
    instanceId,
    type: error === null ? 'cron.completed' : 'agent.error',
    agentId: owner.agentId,
    agentSlug: owner.slug,
    agentName: owner.displayName,
    source: 'cron',
    messageId: null,
    content,
    contentTruncated: result.contentTruncated,
    jobName: result.jobName ?? owner.jobName ?? UNNAMED,
    error,
    createdAt: now,
    occurrenceKey,
  });
  return seq !== null;
}

async function isRecorded(em: EntityManager, instanceId: string, key: string): Promise<boolean> {
  const rows = await em.execute<{ key: string }[]>('select key from event_occurrences where instance_id = ? and key = ?', [
    instanceId,
    key,
  ]);
  return rows.length > 0;
}

async function findOwner(em: EntityManager, { instanceId, gatewayJobId, gatewayAgentId }: CronResult): Promise<Owner | null> {
  const [owner] = await em.execute<Owner[]>(
    `select agents.account_id as "accountId", agents.id as "agentId", agents.slug, agents.display_name as "displayName",
            job.name as "jobName"
       from agents
       join instances on instances.id = agents.instance_id and instances.desired_status <> 'destroyed'
       left join cron_jobs job on job.instance_id = agents.instance_id and job.gateway_job_id = ?
      where agents.instance_id = ? and agents.deleted_at is null
        and (agents.gateway_agent_id = ? or (?::text is null and agents.id = job.agent_id))`,
    [gatewayJobId, instanceId, gatewayAgentId, gatewayAgentId],
  );
  return owner ?? null;
}
