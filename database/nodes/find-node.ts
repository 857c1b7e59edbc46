import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { hasWorker } from './has-worker.ts';

/** The node that has the runtime of this instance; null: none has it yet, or there is no such instance. */
export async function findNode(em: EntityManager, instanceId: string): Promise<number | null> {
  const row = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .select('r.node')
    .where('i.id', '=', instanceId)
    .executeTakeFirst();
  return row?.node ?? null;
}

/** The nodes that have a living worker. */
export async function findLiveNodes(em: EntityManager): Promise<number[]> {
  const rows = await db(em)
    .selectFrom('Node as n')
    .select('n.id')
    .where((eb) => hasWorker(eb.ref('n.id')))
    .orderBy('n.id')
    .execute();
  return rows.map(({ id }) => id);
}
