import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { anyOf, isSet, sql } from '../sql.ts';

export interface LeftRuntime {
  runtimeId: string;
  /** The instance that was there, or was to be, is deleted. */
  isGone: boolean;
  /** Its state is being copied there. */
  isTarget: boolean;
}

/** Those of these runtimes that an instance has left, or to which its state is or was copied. */
export async function findLeft(em: EntityManager, runtimeIds: readonly string[]): Promise<LeftRuntime[]> {
  return db(em)
    .selectFrom('Runtime as r')
    .innerJoin('Instance as i', 'i.id', 'r.leftBy')
    .select(['r.id as runtimeId'])
    .select((eb) => [
      isSet(eb.ref('i.deletedAt')).as('isGone'),
      sql<boolean>`${eb.ref('i.moveRuntimeId')} is not distinct from ${eb.ref('r.id')}`.as('isTarget'),
    ])
    .where('r.id', '=', anyOf(runtimeIds))
    .where('r.instance', 'is', null)
    .execute();
}
