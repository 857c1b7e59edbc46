import type { EntityManager } from '@mikro-orm/postgresql';
import type { PoolState } from '../entities/pool-member.ts';
import { db } from '../db.ts';
import { anyOf, epochMs, isSet, isThere, NOW } from '../sql.ts';

export interface Member {
  runtimeId: string;
  state: PoolState;
  epoch: number;
  recipe: string;
  createdAtMs: number;
  /** It was ready before: it is only kept warm. */
  wasReady: boolean;
}

/** The pool of this node, the oldest first. */
export async function findMembers(em: EntityManager, nodeId: number): Promise<Member[]> {
  return db(em)
    .selectFrom('PoolMember as m')
    .innerJoin('Runtime as r', 'r.id', 'm.runtime')
    .select(['m.runtime as runtimeId', 'm.state', 'm.epoch', 'm.recipe'])
    .select((eb) => [isSet(eb.ref('m.readyAt')).as('wasReady'), epochMs(eb.ref('r.createdAt')).as('createdAtMs')])
    .where('r.node', '=', nodeId)
    .orderBy('r.createdAt')
    .orderBy('m.runtime')
    .execute();
}

/** Those of these runtimes that are in a pool. */
export async function findPooled(em: EntityManager, runtimeIds: readonly string[]): Promise<string[]> {
  const rows = await db(em).selectFrom('PoolMember').select('runtime').where('runtime', '=', anyOf(runtimeIds)).execute();
  return rows.map(({ runtime }) => runtime);
}

interface OfMember {
  runtimeId: string;
  epoch: number;
}

/** An instance may take it from now on. False when it is no longer being warmed, or another attempt has it. */
export async function markReady(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('PoolMember')
    .set((eb) => ({ state: 'ready', readyAt: eb.fn.coalesce('readyAt', NOW) }))
    .where('runtime', '=', runtimeId)
    .where('epoch', '=', epoch)
    .where('state', '=', 'warming')
    .executeTakeFirst();
  return numUpdatedRows > 0;
}

/** No instance may take it until it is ready again. False when one has it. */
export async function takeAside(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<boolean> {
  const { numUpdatedRows } = await db(em)
    .updateTable('PoolMember')
    .set({ state: 'warming' })
    .where('runtime', '=', runtimeId)
    .where('epoch', '=', epoch)
    .where('state', '=', 'ready')
    .executeTakeFirst();
  return numUpdatedRows > 0;
}

/** No instance will ever take it. Answers the epoch for its deletion; null when an instance has it or it is gone. */
export async function beginEnding(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<number | null> {
  const row = await db(em)
    .updateTable('PoolMember')
    .set((eb) => ({
      epoch: eb
        .case()
        .when('state', '=', 'ending')
        .then(eb.ref('epoch'))
        .else(eb('epoch', '+', 1))
        .end(),
      state: 'ending',
    }))
    .where('runtime', '=', runtimeId)
    .where('epoch', '=', epoch)
    .returning('epoch')
    .executeTakeFirst();
  return row?.epoch ?? null;
}

/** Nothing of it is left, or it is not the pool's to delete. */
export async function forgetMember(em: EntityManager, { runtimeId, epoch }: OfMember): Promise<void> {
  await db(em)
    .deleteFrom('Runtime')
    .where('id', '=', runtimeId)
    .where('instance', 'is', null)
    .where((eb) => isThere(eb.selectFrom('PoolMember as m').where('m.runtime', '=', runtimeId).where('m.epoch', '=', epoch)))
    .execute();
}
