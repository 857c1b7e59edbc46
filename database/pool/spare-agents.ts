import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import type { SpareAgent } from './add-member.ts';

/** The spare agents that this runtime still has, in the order in which they are taken. */
export async function findSpares(em: EntityManager, runtimeId: string): Promise<SpareAgent[]> {
  return db(em)
    .selectFrom('SpareAgent')
    .select(['id', 'gatewayAgentId', 'model'])
    .where('runtime', '=', runtimeId)
    .orderBy('place')
    .orderBy('id')
    .execute();
}

/** Takes a spare agent of this model for a new agent of this instance, whose row the caller's transaction holds; null when it has none. */
export async function takeSpare(
  em: EntityManager,
  { instanceId, model }: { instanceId: string; model: string },
): Promise<SpareAgent | null> {
  const spare = await db(em)
    .deleteFrom('SpareAgent')
    .where('id', '=', (eb) =>
      eb
        .selectFrom('SpareAgent as s')
        .innerJoin('Runtime as r', 'r.id', 's.runtime')
        .select('s.id')
        .where('r.instance', '=', instanceId)
        .where('s.model', '=', model)
        .orderBy('s.place')
        .orderBy('s.id')
        .limit(1),
    )
    .returning(['id', 'gatewayAgentId', 'model'])
    .executeTakeFirst();
  return spare ?? null;
}
