import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import type { SpareAgent } from './add-member.ts';

/** The spare agents that this runtime still has, in the order in which they are taken. */
export async function findSpares(em: EntityManager, runtimeId: string): Promise<SpareAgent[]> {
  return query<SpareAgent>(
    em,
    sql`select id, gateway_agent_id as "gatewayAgentId", model from spare_agents where runtime_id = ${runtimeId} order by place, id`,
  );
}

/** Takes a spare agent of this model for a new agent of this instance, whose row the caller's transaction holds; null when it has none. */
export async function takeSpare(
  em: EntityManager,
  { instanceId, model }: { instanceId: string; model: string },
): Promise<SpareAgent | null> {
  const [spare] = await query<SpareAgent>(
    em,
    sql`delete from spare_agents where id = (
       select spare_agents.id from spare_agents join runtimes on runtimes.id = runtime_id
        where instance_id = ${instanceId} and model = ${model} order by place, spare_agents.id limit 1)
     returning id, gateway_agent_id as "gatewayAgentId", model`,
  );
  return spare ?? null;
}
