import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { AgentFile } from '../entities/agent-file.ts';
import { anyOf, sql } from '../sql.ts';

export interface KeptPaths {
  agentId: string;
  gatewayAgentId: string;
  /** The files that are known of it. */
  paths: string[];
}

/** The agents that a gateway has, and what is known of their workspaces. */
export async function findKeptPaths(em: EntityManager, instanceId: string): Promise<KeptPaths[]> {
  const file = columns(AgentFile, 'file');
  return db(em)
    .selectFrom('Agent as agents')
    .select((eb) => [
      'agents.id as agentId',
      'agents.gatewayAgentId',
      sql<string[]>`coalesce((select json_agg(${file.path} order by ${file.path}) from agent_files file
                               where ${file.agent} = ${eb.ref('agents.id')} and ${file.content} is not null), '[]')`.as('paths'),
    ])
    .where('agents.instance', '=', instanceId)
    .where('agents.deletedAt', 'is', null)
    .where('agents.status', '<>', 'pending')
    .orderBy('agents.createdAt')
    .orderBy('agents.id')
    .execute();
}

interface SeenFiles {
  instanceId: string;
  epoch: number;
  agentId: string;
  files: ReadonlyMap<string, string>;
  /** Known files that are not there. */
  gone: readonly string[];
  now: Date;
}

/**
 * Stores the files of an agent as they were seen, except those that the gateway has yet to be given, in the caller's
 * transaction. Nothing when a newer attempt has begun.
 */
export async function keepSeenFiles(
  em: EntityManager,
  { instanceId, epoch, agentId, files, gone, now }: SeenFiles,
): Promise<void> {
  const current = await db(em)
    .selectFrom('Instance')
    .select('id')
    .where('id', '=', instanceId)
    .where('epoch', '=', epoch)
    .forShare()
    .executeTakeFirst();
  if (!current) return;
  for (const [path, content] of files)
    await db(em)
      .insertInto('AgentFile')
      .values({ agent: agentId, path, content, generation: 0, applied: true, seen: true, updatedAt: now })
      .onConflict((conflict) =>
        conflict
          .columns(['agent', 'path'])
          .doUpdateSet({ content, updatedAt: now })
          .where('AgentFile.applied', '=', true)
          .where('AgentFile.content', 'is distinct from', content),
      )
      .execute();
  await db(em)
    .deleteFrom('AgentFile')
    .where('agent', '=', agentId)
    .where('applied', '=', true)
    .where('path', '=', anyOf(gone))
    .execute();
}
