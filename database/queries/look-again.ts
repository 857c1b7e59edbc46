import type { EntityManager } from '@mikro-orm/postgresql';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';

/** Has the reconciler look at this instance again, also when its last try has ended in an error. Null: no such instance. */
export async function lookAgain(em: EntityManager, instanceId: string): Promise<string | null> {
  const [row] = await query<{ accountId: string; isFailedStart: boolean }>(
    em,
    sql`update instances
        set power_generation = power_generation + (error_generation is not distinct from power_generation)::int,
            deaths = '{}', breakdowns = '{}', give_up_for = null, start_not_before = null
      where id = ${instanceId} and deleted_at is null
      returning account_id as "accountId",
                status = 'error' and desired_status = 'running' and power_generation <> error_generation as "isFailedStart"`,
  );
  if (!row) return null;
  if (row.isFailedStart)
    await run(
      em,
      sql`update instances
          set status = 'provisioning', transition_kind = 'starting', transition_started_at = now(), transition_attempt = 0,
              transition_step = null, reason_code = null, reason_message = null, reason_at = null, reason_retryable = null
        where id = ${instanceId}`,
    );
  await wakeInstance(em, instanceId);
  return row.accountId;
}
