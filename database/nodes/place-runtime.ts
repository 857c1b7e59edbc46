import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
import { findNode } from './find-node.ts';
import { hasWorker } from './has-worker.ts';

interface OnNode {
  instanceId: string;
  /** The node of this worker. */
  nodeId: number;
}

/** How many gateways may run on each node, and how many have a slot there: `capacity (node_id, max_running, taken)`, for a `with`. */
export const CAPACITY = sql`capacity as (
  select nodes.id as node_id, max_running,
         (select count(*) from instances join runtimes on runtimes.id = runtime_id where has_slot and runtimes.node_id = nodes.id) as taken
    from nodes
)`;

/** Writes down that the runtime of this instance, whose row this transaction holds, is on this node, and watched there. */
export async function moveRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<void> {
  await run(
    em,
    sql`update instances set shard = (select shard from watch_shards where node_id = ${nodeId} order by random() limit 1)
      where id = ${instanceId} and shard not in (select shard from watch_shards where node_id = ${nodeId})`,
  );
  await run(
    em,
    sql`update runtimes set node_id = ${nodeId}
      where id = (select runtime_id from instances where id = ${instanceId}) and node_id is distinct from ${nodeId}`,
  );
}

/**
 * Whether the runtime of this instance is on this node: where it was on none it is from now on. For a step that is about to
 * change it, in the caller's transaction. Locks the instance.
 */
export async function claimRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<boolean> {
  await query(em, sql`select from instances where id = ${instanceId} for no key update`);
  const present = await findNode(em, instanceId);
  if (present !== null && present !== nodeId) return false;
  await moveRuntime(em, { instanceId, nodeId });
  return true;
}

/**
 * Finds a node for the runtime of this instance, whose row this transaction holds, unless it is on one: the one with the most
 * room of those that have a worker. One that was never begun is on none for good: it moves when its node has no worker. False
 * when no node has room. What an earlier version has started is left to the node that has its storage.
 */
export async function placeRuntime(em: EntityManager, { instanceId, nodeId }: OnNode): Promise<boolean> {
  const [unplaced] = await query(
    em,
    sql`select from instances join runtimes on runtimes.id = runtime_id
      where instances.id = ${instanceId} and epoch = 0 and runtimes.node_id is distinct from ${nodeId}
        and (runtimes.node_id is null or not ${hasWorker(sql`runtimes.node_id`)})`,
  );
  if (!unplaced) return true;
  const [roomiest] = await query<{ id: number }>(
    em,
    sql`with ${CAPACITY} select node_id as id from capacity
      where taken < max_running and (node_id = ${nodeId} or ${hasWorker(sql`capacity.node_id`)})
      order by max_running - taken desc, node_id limit 1`,
  );
  if (!roomiest) return false;
  await moveRuntime(em, { instanceId, nodeId: roomiest.id });
  return true;
}
