import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../../db.ts';
import { anyOf } from '../../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';

export interface LocalStop {
  instanceId: string;
  runtimeId: string;
  /** Carried by everything that the stop does from here on. */
  epoch: number;
  /** It is to run again at the next start. */
  isWanted: boolean;
}

/**
 * The first half of a restart for the instances of these runtimes: they take no messages from now on, and whatever a
 * step still does to them is refused. What is wanted of them stays. Locks them in the order of their ids.
 */
export async function beginLocalStop(em: EntityManager, runtimeIds: readonly string[], now: Date): Promise<LocalStop[]> {
  if (runtimeIds.length === 0) return [];
  const local = await db(em)
    .selectFrom('Instance')
    .select(['id', 'runtimeId'])
    .where('runtimeId', '=', anyOf(runtimeIds))
    .where('deletedAt', 'is', null)
    .orderBy('id')
    .forUpdate()
    .execute();
  const stops: LocalStop[] = [];
  for (const { id: instanceId, runtimeId } of local) {
    const changed = await changeLifecycle(em, { instanceId, happening: { kind: 'local-stop' }, now });
    if (changed)
      stops.push({ instanceId, runtimeId, epoch: changed.after.epoch, isWanted: changed.after.desiredStatus === 'running' });
  }
  return stops;
}
