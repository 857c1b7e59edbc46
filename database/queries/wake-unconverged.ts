import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** `nextStep` of domain/lifecycle.ts is something for this row of `instances`. */
const IS_UNCONVERGED = sql`
  deleted_at is null
  and (desired_status = 'destroyed'
       or not (status = 'error' and error_generation is not distinct from power_generation)
          and case when desired_status = 'stopped'
                   then status <> 'stopped' or boot_id is not null
                        or exists (select from runtime_intervals where instance_id = instances.id and ended_at is null)
                   else status <> 'running' or boot_id is null
                        or restart_generation > applied_restart_generation or content_generation > applied_content_generation
                        or not exists (select from runtime_intervals where instance_id = instances.id and ended_at is null)
              end)`;

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
