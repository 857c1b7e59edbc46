import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { anyOf } from '../sql.ts';
import { hasWorker } from './has-worker.ts';
import { moveRuntime } from './place-runtime.ts';

/**
 * Writes down that these runtimes are on this node, because it has their storage: those that no node has, as after an
 * upgrade, and those of a node without a living worker, as after a machine got another name or its storage was restored on
 * another one. In the caller's transaction. Answers how many. Locks the instances in the order of their ids.
 */
export async function adoptRuntimes(em: EntityManager, nodeId: number, runtimeIds: readonly string[]): Promise<number> {
  const among = anyOf(runtimeIds);
  const found = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .select('i.id')
    .where('r.id', '=', among)
    .where('r.node', 'is distinct from', nodeId)
    .where((eb) => eb.or([eb('r.node', 'is', null), eb.not(hasWorker(eb.ref('r.node')))]))
    .orderBy('i.id')
    .forNoKeyUpdate('i')
    .execute();
  for (const { id: instanceId } of found) await moveRuntime(em, { instanceId, nodeId });
  const pooled = await db(em)
    .updateTable('Runtime')
    .set({ node: nodeId })
    .from('PoolMember as m')
    .whereRef('m.runtime', '=', 'Runtime.id')
    .where('Runtime.id', '=', among)
    .where('Runtime.node', 'is distinct from', nodeId)
    .where((eb) => eb.not(hasWorker(eb.ref('Runtime.node'))))
    .executeTakeFirst();
  return found.length + Number(pooled.numUpdatedRows);
}
