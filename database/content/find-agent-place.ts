import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { epochMs } from '../sql.ts';

export interface AgentEntry {
  instanceId: string;
  agentId: string;
  displayName: string;
  createdAtMs: number;
}

const found = (em: EntityManager, accountId: string) =>
  db(em)
    .selectFrom('Agent as a')
    .innerJoin('Instance as i', 'i.id', 'a.instance')
    .select((eb) => [
      'a.instance as instanceId',
      'a.id as agentId',
      'a.displayName',
      epochMs(eb.ref('a.createdAt')).as('createdAtMs'),
    ])
    .where('a.account', '=', accountId)
    .where('a.deletedAt', 'is', null)
    .where('a.status', '<>', 'deleting')
    .where('i.deletedAt', 'is', null);

/** The account's agents, or those of one of its instances, the newest first. */
export async function listAgentEntries(
  em: EntityManager,
  { accountId, instanceId, limit }: { accountId: string; instanceId: string | null; limit: number },
): Promise<AgentEntry[]> {
  const agents = found(em, accountId).orderBy('a.createdAt', 'desc').orderBy('a.id', 'desc').limit(limit);
  return (instanceId === null ? agents : agents.where('a.instance', '=', instanceId)).execute();
}

/** An agent by its id, or by its slug within an instance. */
export type AgentName = { agentId: string } | { instanceId: string; slug: string };

/** The account's agent with this name; null when it has none. */
export async function findAgentEntry(em: EntityManager, accountId: string, name: AgentName): Promise<AgentEntry | null> {
  const agents = found(em, accountId);
  const named =
    'agentId' in name
      ? agents.where('a.id', '=', name.agentId)
      : agents.where('a.instance', '=', name.instanceId).where('a.slug', '=', name.slug);
  return (await named.executeTakeFirst()) ?? null;
}
