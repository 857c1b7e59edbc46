import type { EntityManager } from '@mikro-orm/postgresql';
import type { ExpressionBuilder } from 'kysely';
import { STEP_FAILURES } from '../../domain/failures.ts';
import { db } from '../db.ts';
import type { Db } from '../db.ts';
import { capacity } from '../nodes/place-runtime.ts';
import { asNumber, fromNow, isThere, lockUntilCommit, sql } from '../sql.ts';

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

/** For so long after a start that found no machine the pool leaves its room to that instance. */
const NOT_PLACED_MS = 5 * 60_000;

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
 * together never take more than the memory for MAX_RUNNING; none while an instance waits for a slot, or a cluster has
 * found no machine for it.
 */
export async function findPoolRoom(em: EntityManager, { nodeId, size }: { nodeId: number; size: number }): Promise<PoolRoom> {
  const room = await db(em)
    .with('capacity', capacity)
    .selectFrom('capacity')
    .select((eb) => {
      const free = eb('capacity.most', '-', eb.ref('capacity.taken'));
      const beginning = eb
        .selectFrom('Instance as i')
        .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .where('i.hasSlot', '=', true)
        .where('r.node', '=', nodeId)
        .where('i.epoch', '=', 0);
      return [
        asNumber(sql<number>`greatest(0, least(${size}::int, ${free}))`).as('toStart'),
        asNumber(sql<number>`greatest(0, least(${size}::int, ${free} + ${beginning}))`).as('toKeep'),
      ];
    })
    .where('capacity.nodeId', '=', nodeId)
    .where(({ not, selectFrom }) => {
      const waiting = selectFrom('Instance as i')
        .innerJoin('Runtime as r', 'r.id', 'i.runtimeId')
        .where((eb) => eb.or([eb('i.queuedAt', 'is not', null), wasNotPlaced(eb)]))
        .where((eb) => eb.or([eb('r.node', 'is', null), eb('r.node', '=', nodeId)]));
      return not(isThere(waiting));
    })
    .executeTakeFirst();
  return room ?? { toKeep: 0, toStart: 0 };
}

/** The start is repeated, and finds room when a member has left it. */
function wasNotPlaced(eb: ExpressionBuilder<{ i: Db['Instance'] }, 'i'>) {
  return eb.and([
    eb('i.desiredStatus', '=', 'running'),
    eb('i.reasonCode', '=', STEP_FAILURES.not_placed.code),
    eb('i.reasonAt', '>', fromNow(-NOT_PLACED_MS)),
  ]);
}

/** Adds a member that is about to be started, with its spare agents, in the caller's transaction. False when the pool is full. */
export async function addMember(em: EntityManager, member: NewMember): Promise<boolean> {
  const { runtimeId, nodeId, recipe, size, driver, pin, spares } = member;
  await lockUntilCommit(em, POOL_LOCK);
  const pool = await db(em)
    .selectFrom('PoolMember as m')
    .innerJoin('Runtime as r', 'r.id', 'm.runtime')
    .select(({ fn }) => asNumber(fn.countAll()).as('count'))
    .where('r.node', '=', nodeId)
    .executeTakeFirstOrThrow();
  const { toStart } = await findPoolRoom(em, { nodeId, size });
  if (pool.count >= toStart) return false;
  await db(em).insertInto('Runtime').values({ id: runtimeId, node: nodeId, driver, pin }).execute();
  const warming = { runtime: runtimeId, state: 'warming', epoch: FIRST_EPOCH, recipe } as const;
  await db(em).insertInto('PoolMember').values(warming).execute();
  const placed = spares.map((spare, place) => ({ ...spare, runtime: runtimeId, place }));
  if (placed.length > 0) await db(em).insertInto('SpareAgent').values(placed).execute();
  return true;
}
