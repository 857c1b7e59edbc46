import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../../db.ts';

/** How long an instance may be idle before it falls asleep, from now on; null: it never does. */
export async function setSleepAfter(em: EntityManager, instanceId: string, sleepAfterMs: number | null): Promise<void> {
  await db(em).updateTable('Instance').set({ sleepAfterMs }).where('id', '=', instanceId).execute();
}
