import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { hasWorker } from './has-worker.ts';

/** The node that has the runtime of this instance; null: none has it yet, or there is no such instance. */
export async function findNode(em: EntityManager, instanceId: string): Promise<number | null> {
  const [row] = await query<{ nodeId: number | null }>(
    em,
    sql`select runtimes.node_id as "nodeId" from instances join runtimes on runtimes.id = runtime_id where instances.id = ${instanceId}`,
  );
  return row?.nodeId ?? null;
}

/** The nodes that have a living worker. */
export async function findLiveNodes(em: EntityManager): Promise<number[]> {
  const rows = await query<{ id: number }>(em, sql`select id from nodes where ${hasWorker(sql`nodes.id`)} order by id`);
  return rows.map(({ id }) => id);
}
