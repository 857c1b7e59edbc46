import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Instance } from '../entities/instance.ts';
import { fetchPlannedRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

const a = columns(Agent, 'a');
const i = columns(Instance, 'i');

const ENTRY = {
  instanceId: a.instance,
  agentId: a.id,
  displayName: a.displayName,
  createdAtMs: epochMs(a.createdAt),
  status: a.status,
};

/** An agent that is not being deleted. */
export type AgentEntry = RowOf<typeof ENTRY>;

const entriesOf = (fields: Sql, accountId: string): Sql => sql`
  select ${fields} from agents a join instances i on ${i.id} = ${a.instance}
   where ${a.account} = ${accountId} and ${a.deletedAt} is null and ${a.status} <> 'deleting' and ${i.deletedAt} is null`;

/** The account's agents, or those of one of its instances, the newest first. */
export async function listAgentEntries(
  em: EntityManager,
  { accountId, instanceId, limit }: { accountId: string; instanceId: string | null; limit: number },
): Promise<AgentEntry[]> {
  const isOfInstance = instanceId === null ? sql`true` : sql`${a.instance} = ${instanceId}`;
  return fetchRows(
    em,
    ENTRY,
    (fields) =>
      sql`${entriesOf(fields, accountId)} and ${isOfInstance} order by ${a.createdAt} desc, ${a.id} desc limit ${limit}`,
  );
}

/** An agent by its id, or by its slug within an instance. */
export type AgentName = { agentId: string } | { instanceId: string; slug: string };

/** The account's agent with this name; null when it has none. */
export function findAgentEntry(em: EntityManager, accountId: string, name: AgentName): Promise<AgentEntry | null> {
  if ('agentId' in name)
    return fetchPlannedRow(
      em,
      'agent_by_id',
      ENTRY,
      (fields) => sql`${entriesOf(fields, accountId)} and ${a.id} = ${name.agentId}`,
    );
  const { instanceId, slug } = name;
  return fetchPlannedRow(
    em,
    'agent_by_slug',
    ENTRY,
    (fields) => sql`${entriesOf(fields, accountId)} and ${a.instance} = ${instanceId} and ${a.slug} = ${slug}`,
  );
}
