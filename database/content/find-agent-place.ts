import type { EntityManager } from '@mikro-orm/postgresql';
import { allOf, query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

export interface AgentEntry {
  instanceId: string;
  agentId: string;
  displayName: string;
  createdAtMs: number;
}

const entries = (conditions: readonly Sql[], limit: number): Sql => sql`
  select a.instance_id as "instanceId", a.id as "agentId", a.display_name as "displayName",
         (extract(epoch from a.created_at) * 1000)::float8 as "createdAtMs"
    from agents a join instances i on i.id = a.instance_id
   where a.deleted_at is null and a.status <> 'deleting' and i.deleted_at is null and ${allOf(conditions)}
   order by a.created_at desc, a.id desc limit ${limit}`;

/** The account's agents, or those of one of its instances, the newest first. */
export async function listAgentEntries(
  em: EntityManager,
  { accountId, instanceId, limit }: { accountId: string; instanceId: string | null; limit: number },
): Promise<AgentEntry[]> {
  const conditions = [sql`a.account_id = ${accountId}`];
  if (instanceId !== null) conditions.push(sql`a.instance_id = ${instanceId}`);
  return query<AgentEntry>(em, entries(conditions, limit));
}

/** An agent by its id, or by its slug within an instance. */
export type AgentName = { agentId: string } | { instanceId: string; slug: string };

/** The account's agent with this name; null when it has none. */
export async function findAgentEntry(em: EntityManager, accountId: string, name: AgentName): Promise<AgentEntry | null> {
  const conditions = [sql`a.account_id = ${accountId}`];
  if ('agentId' in name) conditions.push(sql`a.id = ${name.agentId}`);
  else conditions.push(sql`a.instance_id = ${name.instanceId}`, sql`a.slug = ${name.slug}`);
  const [row] = await query<AgentEntry>(em, entries(conditions, 1));
  return row ?? null;
}
