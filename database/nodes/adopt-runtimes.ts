import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import { hasWorker } from './has-worker.ts';
import { moveRuntime } from './place-runtime.ts';

/**
 * Writes down that these runtimes are on this node, because it has their storage: those that no node has, as after an
 * upgrade, and those of a node without a living worker, as after a machine got another name or its storage was restored on
 * another one. In the caller's transaction. Answers how many. Locks the instances in the order of their ids.
 */
export async function adoptRuntimes(em: EntityManager, nodeId: number, runtimeIds: readonly string[]): Promise<number> {
  const found = await query<{ instanceId: string }>(
    em,
    sql`select instances.id as "instanceId" from instances join runtimes on runtimes.id = instances.runtime_id
      where runtimes.id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb))
        and runtimes.node_id is distinct from ${nodeId} and (runtimes.node_id is null or not ${hasWorker(sql`runtimes.node_id`)})
      order by instances.id for no key update of instances`,
  );
  for (const { instanceId } of found) await moveRuntime(em, { instanceId, nodeId });
  const pooled = await run(
    em,
    sql`update runtimes set node_id = ${nodeId} from pool_members
      where pool_members.runtime_id = runtimes.id and runtimes.id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb))
        and node_id is distinct from ${nodeId} and not ${hasWorker(sql`runtimes.node_id`)}`,
  );
  return found.length + pooled;
}
