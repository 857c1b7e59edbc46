import type { EntityManager } from '@mikro-orm/postgresql';
import { AgentFile } from '../../../database/entities/agent-file.ts';
import type { Agent } from '../../../database/entities/agent.ts';
import { defaultFiles } from '../../../runtime/engine.ts';

const IDENTITY = 'IDENTITY.md';

/**
 * The change of IDENTITY.md with which an agent knows its new display name: none where the file is no longer the one that the
 * agent was created with, because what it says is then the customer's or the agent's own.
 */
export async function renamedIdentity(
  em: EntityManager,
  { id, displayName }: Agent,
  newName: string,
): Promise<[path: string, content: string][]> {
  const file = await em.findOne(AgentFile, { agent: id, path: IDENTITY, seen: false }, { refresh: true });
  const renamed = defaultFiles(newName).get(IDENTITY);
  const isDefault = file !== null && file.content === defaultFiles(displayName).get(IDENTITY);
  return isDefault && renamed !== undefined ? [[IDENTITY, renamed]] : [];
}
