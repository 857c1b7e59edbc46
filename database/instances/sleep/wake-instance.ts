import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../../db.ts';

/** Has the reconciler look at this instance once the transaction is committed. */
export async function wakeInstance(em: EntityManager, instanceId: string): Promise<void> {
  await db(em).insertInto('OutboxEntry').values({ workflow: 'reconcileInstance', subjectId: instanceId }).execute();
}
