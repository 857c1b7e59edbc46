import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** A file of an agent as the API was told; the gateway has it once `applied` is set. */
export interface ToldFile {
  path: string;
  /** Null: to be removed. */
  content: string | null;
  applied: boolean;
  generation: number;
  updatedAtMs: number;
}

/** What is known of one file of an agent; null when nothing is. */
export async function findToldFile(em: EntityManager, agentId: string, path: string): Promise<ToldFile | null> {
  const [row] = await query<ToldFile>(
    em,
    sql`select path, content, applied, generation::float8 as generation, (extract(epoch from updated_at) * 1000)::float8 as "updatedAtMs"
       from agent_files where agent_id = ${agentId} and path = ${path}`,
  );
  return row ?? null;
}

export interface PendingFile {
  path: string;
  /** Of its content in bytes; null: to be removed. */
  size: number | null;
  updatedAtMs: number;
}

/** The files that the gateway of an agent has yet to be given or to remove. */
export async function findPendingFiles(em: EntityManager, agentId: string): Promise<PendingFile[]> {
  return query<PendingFile>(
    em,
    sql`select path, octet_length(content) as size, (extract(epoch from updated_at) * 1000)::float8 as "updatedAtMs"
       from agent_files where agent_id = ${agentId} and not applied`,
  );
}

interface WrittenFile {
  agentId: string;
  path: string;
  /** Of what was known before it was written: what was told since then stays. */
  generation: number;
  /** Null: it is gone, or no text that would be shown. */
  content: string | null;
  now: Date;
}

/** Notes that a file which was known has been written or removed in the workspace itself. */
export async function noteWrittenFile(em: EntityManager, file: WrittenFile): Promise<void> {
  const { agentId, path, generation, content, now } = file;
  const change =
    content === null
      ? sql`delete from agent_files`
      : sql`update agent_files set content = ${content}, applied = true, seen = true, updated_at = ${now}`;
  await run(em, sql`${change} where agent_id = ${agentId} and path = ${path} and generation = ${generation}`);
}
