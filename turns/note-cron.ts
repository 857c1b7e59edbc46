import type { EntityManager } from '@mikro-orm/postgresql';
import { noteCron } from '../database/crons/crons.ts';
import type { MakeId } from '../domain/ids.ts';
import type { CronJob } from '../runtime/gateway/gateway-jobs.ts';

/**
 * Writes down a job as its gateway shows it, in the caller's transaction. The gateway's housekeeping, and what belongs
 * to no agent, is left out.
 */
export async function noteSeenCron(
  em: EntityManager,
  { instanceId, makeId }: { instanceId: string; makeId: MakeId },
  job: CronJob,
): Promise<void> {
  const {
    id: gatewayJobId,
    agentId: gatewayAgentId,
    cronId,
    name,
    message,
    enabled,
    schedule,
    nextRunAt,
    conversationId,
    updatedAt,
  } = job;
  if (job.isInternal || gatewayAgentId === null) return;
  const text = schedule === null ? null : JSON.stringify(schedule);
  const definition = { name, message, enabled, schedule: text, nextRunAt, conversationId, updatedAt };
  const seen = { gatewayJobId, gatewayAgentId, cronId, ...definition };
  await noteCron(em, instanceId, seen, makeId('cron'));
}
