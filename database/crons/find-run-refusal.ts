import type { EntityManager } from '@mikro-orm/postgresql';
import type { NamedBudget } from '../../domain/budgets.ts';
import { query, sql } from '../sql.ts';
import type { CronResult } from './record-cron-run.ts';

/** How far the clocks of a gateway and of the database may be apart. */
const CLOCKS_DIFFER_MS = 2_000;

type Run = Pick<CronResult, 'instanceId' | 'gatewayJobId' | 'gatewayAgentId' | 'runAt' | 'saidAt'>;

/**
 * The budget that had no room for a model call of this run; null when there is none. A call of a job is known by its agent alone, so
 * it is the last refusal of a call without a turn while the run went on.
 */
export async function findRunRefusal(em: EntityManager, run: Run): Promise<NamedBudget | null> {
  const { instanceId, gatewayJobId, gatewayAgentId, runAt, saidAt } = run;
  const [from, to] = [new Date(runAt.getTime() - CLOCKS_DIFFER_MS), new Date(saidAt.getTime() + CLOCKS_DIFFER_MS)];
  const [budget] = await query<NamedBudget>(
    em,
    sql`select budgets.id as "budgetId", budgets.name, period
       from agents
       left join cron_jobs job on job.instance_id = agents.instance_id and job.gateway_job_id = ${gatewayJobId}
       join model_calls call on call.agent_id = agents.id and call.message_id is null and call.at between ${from} and ${to}
       join budgets on budgets.id = call.refused_by
      where agents.instance_id = ${instanceId}
        and (agents.gateway_agent_id = ${gatewayAgentId} or (${gatewayAgentId}::text is null and agents.id = job.agent_id))
      order by call.id desc limit 1`,
  );
  return budget ?? null;
}
