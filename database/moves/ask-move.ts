import type { EntityManager } from '@mikro-orm/postgresql';
import { changeLifecycle } from '../instances/lifecycle/change-lifecycle.ts';
import { db } from '../db.ts';
import { capacity } from '../nodes/place-runtime.ts';
import { hasWorker } from '../nodes/has-worker.ts';

interface Wish {
  instanceId: string;
  /** The name of a node, or a kind of driver. */
  to: string;
  /** For the runtime that is to have its state. */
  newRuntimeId: string;
}

/** `there`: it is on such a node. `moving`: it moves already. `no_node`: no living worker is of such a node. */
export type AskedMove = 'asked' | 'moving' | 'there' | 'no_node' | 'unknown';

/** Has an instance move to the node with this name, or to the one with the most room of those with this kind of driver. In the caller's transaction. */
export async function askMove(em: EntityManager, { instanceId, to, newRuntimeId }: Wish): Promise<AskedMove> {
  const present = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .leftJoin('Node as n', 'n.id', 'r.node')
    .select(['i.moveNode', 'r.driver', 'n.driver as nodeDriver', 'n.name'])
    .where('i.id', '=', instanceId)
    .where('i.deletedAt', 'is', null)
    .where('i.desiredStatus', '<>', 'destroyed')
    .forNoKeyUpdate('i')
    .executeTakeFirst();
  if (!present) return 'unknown';
  if (present.moveNode !== null) return 'moving';
  if (present.name === to || (present.driver ?? present.nodeDriver) === to) return 'there';
  const roomiest = await db(em)
    .with('capacity', capacity)
    .selectFrom('capacity')
    .innerJoin('Node as n', 'n.id', 'capacity.nodeId')
    .select(['n.id', 'n.driver'])
    .where((eb) => eb.or([eb('n.name', '=', to), eb('n.driver', '=', to)]))
    .where((eb) => hasWorker(eb.ref('n.id')))
    .orderBy((eb) => eb('capacity.most', '-', eb.ref('capacity.taken')), 'desc')
    .orderBy('n.id')
    .limit(1)
    .executeTakeFirst();
  if (!roomiest) return 'no_node';
  const { id: nodeId, driver } = roomiest;
  await db(em).insertInto('Runtime').values({ id: newRuntimeId, node: nodeId, driver, leftBy: instanceId }).execute();
  const happening = { kind: 'move-asked', nodeId, runtimeId: newRuntimeId } as const;
  return (await changeLifecycle(em, { instanceId, happening })) ? 'asked' : 'unknown';
}

interface Fleet {
  /** The name of a node, or a kind of driver. */
  from: string;
  /** Those whose ids come after this one. */
  after: string;
  limit: number;
}

/** The next instances, in the order of their ids, on nodes with this name or kind of driver. */
export async function findMovable(em: EntityManager, { from, after, limit }: Fleet): Promise<string[]> {
  const rows = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .innerJoin('Node as n', 'n.id', 'r.node')
    .select('i.id')
    .where('i.deletedAt', 'is', null)
    .where('i.desiredStatus', '<>', 'destroyed')
    .where('i.id', '>', after)
    .where((eb) => eb.or([eb('n.name', '=', from), eb(eb.fn.coalesce('r.driver', 'n.driver'), '=', from)]))
    .orderBy('i.id')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** How many instances move at present, anywhere. */
export async function countMoving(em: EntityManager): Promise<number> {
  const { count } = await db(em)
    .selectFrom('Instance')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('moveNode', 'is not', null)
    .where('deletedAt', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Where an instance is: the name of its node, and whether it moves. Null: there is no such instance. */
export async function findPlace(
  em: EntityManager,
  instanceId: string,
): Promise<{ node: string | null; isMoving: boolean } | null> {
  const row = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .leftJoin('Node as n', 'n.id', 'r.node')
    .select(['n.name', 'i.moveNode'])
    .where('i.id', '=', instanceId)
    .where('i.deletedAt', 'is', null)
    .executeTakeFirst();
  return row ? { node: row.name, isMoving: row.moveNode !== null } : null;
}
