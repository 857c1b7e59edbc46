import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

export interface KeptPaths {
  agentId: string;
  gatewayAgentId: string;
  /** The files that are known of it. */
  paths: string[];
}

/** The agents that a gateway has, and what is known of their workspaces. */
export async function findKeptPaths(em: EntityManager, instanceId: string): Promise<KeptPaths[]> {
  return query<KeptPaths>(
    em,
    sql`select id as "agentId", gateway_agent_id as "gatewayAgentId",
            coalesce((select json_agg(path order by path) from agent_files where agent_id = agents.id and content is not null), '[]') as paths
       from agents where instance_id = ${instanceId} and deleted_at is null and status <> 'pending' order by created_at, id`,
  );
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
  const current = await query<{ id: string }>(
    em,
    sql`select id from instances where id = ${instanceId} and epoch = ${epoch} for share`,
  );
  if (current.length === 0) return;
  for (const [path, content] of files)
    await run(
      em,
      sql`insert into agent_files (agent_id, path, content, generation, applied, seen, updated_at) values (${agentId}, ${path}, ${content}, 0, true, true, ${now})
       on conflict (agent_id, path) do update set content = excluded.content, updated_at = excluded.updated_at
             where agent_files.applied and agent_files.content is distinct from excluded.content`,
    );
  await run(
    em,
    sql`delete from agent_files where agent_id = ${agentId} and applied and path in (select jsonb_array_elements_text(${JSON.stringify(gone)}::jsonb))`,
  );
}
