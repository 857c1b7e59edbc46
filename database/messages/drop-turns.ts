import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/** Ends every pending turn of an instance that is deleted. The only end without an event: who could read it? */
export async function dropTurns(em: EntityManager, instanceId: string, now: Date): Promise<void> {
  await run(
    em,
    sql`update messages
        set status = 'cancelled', error_reason = 'cancelled', error_message = 'The instance was deleted.', ended_at = ${now},
            abort_due = false
      where instance_id = ${instanceId} and status = 'pending'`,
  );
}
