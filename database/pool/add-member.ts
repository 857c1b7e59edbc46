import type { EntityManager } from '@mikro-orm/postgresql';
import { CAPACITY } from '../nodes/place-runtime.ts';
import { query, run, sql } from '../sql.ts';

/** Any number that nothing else locks. */
const POOL_LOCK = 724_310_380;

export interface SpareAgent {
  id: string;
  gatewayAgentId: string;
  /** A public id of MODELS. */
  model: string;
}

interface NewMember {
  runtimeId: string;
  nodeId: number;
  recipe: string;
  /** POOL_SIZE. */
  size: number;
  /** The kind of the driver. */
  driver: string;
  pin: string;
  spares: readonly SpareAgent[];
}

/** The epoch of the attempt that starts a member. */
export const FIRST_EPOCH = 1;

export interface PoolRoom {
  /** So many members may stay. An instance that has a slot and has not begun to start may still take one. */
  toKeep: number;
  /** Up to so many members another one may be started. */
  toStart: number;
}

/**
 * How many members the pool of this node may have: never more than there are free slots, so that instances and pool
 * together never take more than the memory for MAX_RUNNING; none while an instance waits for a slot.
 */
export async function findPoolRoom(em: EntityManager, { nodeId, size }: { nodeId: number; size: number }): Promise<PoolRoom> {
  const [row] = await query<PoolRoom>(
    em,
    sql`with ${CAPACITY}, beginning as (
       select count(*) as count from instances join runtimes on runtimes.id = runtime_id
        where has_slot and runtimes.node_id = ${nodeId} and epoch = 0
     )
     select greatest(0, least(${size}::int, max_running - taken))::float8 as "toStart",
            greatest(0, least(${size}::int, max_running - taken + beginning.count))::float8 as "toKeep"
       from capacity, beginning
      where node_id = ${nodeId}
        and not exists (select from instances join runtimes on runtimes.id = runtime_id
                         where queued_at is not null and coalesce(runtimes.node_id, ${nodeId}) = ${nodeId})`,
  );
  return row ?? { toKeep: 0, toStart: 0 };
}

/** Adds a member that is about to be started, with its spare agents, in the caller's transaction. False when the pool is full. */
export async function addMember(em: EntityManager, member: NewMember): Promise<boolean> {
  const { runtimeId, nodeId, recipe, size, driver, pin, spares } = member;
  await query(em, sql`select pg_advisory_xact_lock(${POOL_LOCK})`);
  const [pool] = await query<{ count: number }>(
    em,
    sql`select count(*)::float8 as count from pool_members join runtimes on runtimes.id = runtime_id where node_id = ${nodeId}`,
  );
  const { toStart } = await findPoolRoom(em, { nodeId, size });
  if ((pool?.count ?? 0) >= toStart) return false;
  await run(em, sql`insert into runtimes (id, node_id, driver, pin) values (${runtimeId}, ${nodeId}, ${driver}, ${pin})`);
  await run(
    em,
    sql`insert into pool_members (runtime_id, state, epoch, recipe) values (${runtimeId}, 'warming', ${FIRST_EPOCH}, ${recipe})`,
  );
  for (const [place, { id, gatewayAgentId, model }] of spares.entries())
    await run(
      em,
      sql`insert into spare_agents (id, runtime_id, gateway_agent_id, model, place)
       values (${id}, ${runtimeId}, ${gatewayAgentId}, ${model}, ${place})`,
    );
  return true;
}
