import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { changeLifecycle } from '../instances/change-lifecycle.ts';
import { takesMessages } from '../instances/lifecycle-sql.ts';

export interface SettledInstance {
  instanceId: string;
  runtimeId: string;
  contentGeneration: number;
}

/**
 * The gateway of an instance should hold exactly what the database says, because no change is under way. A gateway that refused
 * its configuration is left alone for ten minutes.
 */
export const IS_SETTLED = sql`
  ${takesMessages('instances')} and deleted_at is null
  and content_generation = applied_content_generation and restart_generation = applied_restart_generation
  and (reason_code is distinct from 'config_refused' or reason_at < now() - interval '10 minutes')`;

/** Running instances of this node (null: of none) with no change under way, in random order. */
export async function findSettled(
  em: EntityManager,
  { nodeId, limit }: { nodeId: number | null; limit: number },
): Promise<SettledInstance[]> {
  return query<SettledInstance>(
    em,
    sql`select instances.id as "instanceId", runtime_id as "runtimeId", content_generation::float8 as "contentGeneration"
       from instances join runtimes on runtimes.id = runtime_id
      where ${IS_SETTLED} and node_id is not distinct from ${nodeId} order by random() limit ${limit}`,
  );
}

/**
 * Has the content of this generation applied once more, and says so in the row, in the caller's transaction. False when
 * it has changed since it was looked at.
 */
export async function remedyContent(
  em: EntityManager,
  { instanceId, contentGeneration }: { instanceId: string; contentGeneration: number },
): Promise<boolean> {
  const [settled] = await query(em, sql`select from instances where id = ${instanceId} and ${IS_SETTLED} for update`);
  if (!settled) return false;
  const changed = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'content-drifted' },
    allows: (row) => row.contentGeneration === contentGeneration,
  });
  return changed !== null;
}
