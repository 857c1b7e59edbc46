import type { EntityManager } from '@mikro-orm/postgresql';
import type { QueryCreator } from 'kysely';
import { db } from '../db.ts';
import type { Db } from '../db.ts';
import { isThere, sql } from '../sql.ts';
import { findNode } from './find-node.ts';
import { hasWorker } from './has-worker.ts';

interface OnNode {
  instanceId: string;
  /** The node of this worker. */
  nodeId: number;
}

/** How many gateways may run on each node, and how many have a slot there, for a `with`. */
export function capacity(query: QueryCreator<Db>) {
  return query.selectFrom('Node as n').select((eb) => [
    'n.id as nodeId',
    'n.maxRunning as most',
    eb
      .selectFrom('Instance as i')
      .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('i.hasSlot', '=', true)
      .whereRef('r.node', '=', 'n.id')
      .as('taken'),
  ]);
}

function readyMembers(em: EntityManager) {
  return db(em)
    .selectFrom('PoolMember as m')
    .innerJoin('Runtime as r', 'r.id', 'm.runtime')
    .select('m.runtime as memberId')
    .where('m.state', '=', 'ready');
}

/** Writes down that the runtime of this instance, whose row this transaction holds, is on this node, and watched there. */
export async function moveRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<void> {
  const shards = db(em).selectFrom('WatchShard').select('shard').where('node', '=', nodeId);
  await db(em)
    .updateTable('Instance')
    .set({ shard: shards.orderBy(sql`random()`).limit(1) })
    .where('id', '=', instanceId)
    .where('shard', 'not in', shards)
    .execute();
  await db(em)
    .updateTable('Runtime')
    .set({ node: nodeId })
    .where('id', '=', (eb) => eb.selectFrom('Instance as i').select('i.runtimeId').where('i.id', '=', instanceId))
    .where('node', 'is distinct from', nodeId)
    .execute();
}

/**
 * Whether the runtime of this instance is on this node: where it was on none it is from now on. For a step that is about to
 * change it, in the caller's transaction. Locks the instance.
 */
export async function claimRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<boolean> {
  await db(em).selectFrom('Instance').select('id').where('id', '=', instanceId).forNoKeyUpdate().execute();
  const present = await findNode(em, instanceId);
  if (present !== null && present !== nodeId) return false;
  await moveRuntime(em, { instanceId, nodeId });
  return true;
}

/**
 * Finds a node for the runtime of this instance, whose row this transaction holds, unless it is on one: of those that have a
 * worker one with a ready gateway in its pool, and among these the one with the most room. One that was never begun is on none for good: it moves when its node has no worker. False
 * when no node has room. What an earlier version has started is left to the node that has its storage.
 */
export async function placeRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<boolean> {
  const unplaced = await db(em)
    .selectFrom('Instance as i')
    .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
    .select('i.id')
    .where('i.id', '=', instanceId)
    .where('i.epoch', '=', 0)
    .where('r.node', 'is distinct from', nodeId)
    .where((eb) => eb.or([eb('r.node', 'is', null), eb.not(hasWorker(eb.ref('r.node')))]))
    .executeTakeFirst();
  if (!unplaced) return true;
  const roomiest = await db(em)
    .with('capacity', capacity)
    .selectFrom('capacity')
    .select('capacity.nodeId')
    .whereRef('capacity.taken', '<', 'capacity.most')
    .where((eb) => eb.or([eb('capacity.nodeId', '=', nodeId), hasWorker(eb.ref('capacity.nodeId'))]))
    .orderBy((eb) => isThere(readyMembers(em).whereRef('r.node', '=', eb.ref('capacity.nodeId'))), 'desc')
    .orderBy((eb) => eb('capacity.most', '-', eb.ref('capacity.taken')), 'desc')
    .orderBy('capacity.nodeId')
    .limit(1)
    .executeTakeFirst();
  if (!roomiest) return false;
  await moveRuntime(em, { instanceId, nodeId: roomiest.nodeId });
  return true;
}
