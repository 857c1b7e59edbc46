import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/** How long an instance may be idle before it falls asleep, from now on; null: it never does. */
export async function setSleepAfter(em: EntityManager, instanceId: string, sleepAfterMs: number | null): Promise<void> {
  await run(em, sql`update instances set sleep_after_ms = ${sleepAfterMs} where id = ${instanceId}`);
}
