import type { EntityManager } from '@mikro-orm/postgresql';
import { run, sql } from '../sql.ts';

/** Has the reconciler look at this instance once the transaction is committed. */
export async function wakeInstance(em: EntityManager, instanceId: string): Promise<void> {
  await run(em, sql`insert into outbox (workflow, subject_id) values ('reconcileInstance', ${instanceId})`);
}
