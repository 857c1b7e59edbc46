import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { IS_UNCONVERGED } from './lifecycle-sql.ts';

/** Wakes the reconciler for every instance that is not as it is wanted, unless it is to be woken already. */
export async function wakeUnconverged(em: EntityManager): Promise<number> {
  const rows = await query<{ id: string }>(
    em,
    sql`insert into outbox (workflow, subject_id)
     select 'reconcileInstance', id from instances
      where ${IS_UNCONVERGED}
        and not exists (select from outbox where subject_id = instances.id and workflow = 'reconcileInstance' and claimed_until is null)
     returning subject_id as id`,
  );
  return rows.length;
}
