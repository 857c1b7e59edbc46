import type { EntityManager } from '@mikro-orm/postgresql';

/** Ends every pending turn of an instance that is deleted. The only end without an event: who could read it? */
export async function dropTurns(em: EntityManager, instanceId: string, now: Date): Promise<void> {
  await em.execute(
    `update messages
        set status = 'cancelled', error_reason = 'cancelled', error_message = 'The instance was deleted.', ended_at = ?,
            abort_due = false
      where instance_id = ? and status = 'pending'`,
    [now, instanceId],
    'run',
  );
}
