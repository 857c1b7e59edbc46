import type { EntityManager } from '@mikro-orm/postgresql';

/** Has the reconciler look at this instance once the transaction is committed. */
export async function wakeInstance(em: EntityManager, instanceId: string): Promise<void> {
  await em.execute(`insert into outbox (workflow, subject_id) values ('reconcileInstance', ?)`, [instanceId], 'run');
}
