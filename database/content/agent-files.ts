import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { epochMs } from '../sql.ts';

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
  const file = await db(em)
    .selectFrom('AgentFile')
    .select((eb) => ['path', 'content', 'applied', 'generation', epochMs(eb.ref('updatedAt')).as('updatedAtMs')])
    .where('agent', '=', agentId)
    .where('path', '=', path)
    .executeTakeFirst();
  return file ?? null;
}

export interface PendingFile {
  path: string;
  /** Of its content in bytes; null: to be removed. */
  size: number | null;
  updatedAtMs: number;
}

/** The files that the gateway of an agent has yet to be given or to remove. */
export async function findPendingFiles(em: EntityManager, agentId: string): Promise<PendingFile[]> {
  return db(em)
    .selectFrom('AgentFile')
    .select((eb) => [
      'path',
      eb.fn<number | null>('octet_length', ['content']).as('size'),
      epochMs(eb.ref('updatedAt')).as('updatedAtMs'),
    ])
    .where('agent', '=', agentId)
    .where('applied', '=', false)
    .execute();
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
  const place = { agent: agentId, path, generation };
  if (content === null)
    await db(em)
      .deleteFrom('AgentFile')
      .where((eb) => eb.and(place))
      .execute();
  else
    await db(em)
      .updateTable('AgentFile')
      .set({ content, applied: true, seen: true, updatedAt: now })
      .where((eb) => eb.and(place))
      .execute();
}
