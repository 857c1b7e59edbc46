import type { EntityManager } from '@mikro-orm/postgresql';
import { START_PAUSED } from '../../domain/failures.ts';
import { decidePower, startAfterFailures } from '../../domain/lifecycle.ts';
import type { DesiredStatus, InstanceStatus, PowerAction, PowerDecision } from '../../domain/lifecycle.ts';
import { closeInterval } from './intervals.ts';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';

interface PowerRow {
  desiredStatus: DesiredStatus;
  status: InstanceStatus;
  powerGeneration: number;
  errorGeneration: number | null;
  failedStarts: string[];
}

interface PowerChange {
  instanceId: string;
  action: PowerAction;
  now: Date;
  /** When the meter ends; by default the database's own time. */
  meterNow?: Date | null;
}

/**
 * Starts, stops or destroys an instance as far as the database goes: what is wanted, the transition, the end of the
 * meter, and a wake-up for the reconciler. A start after many that failed is given a pause. Locks the row. Null when there is no such instance.
 */
export async function changePower(
  em: EntityManager,
  { instanceId, action, now, meterNow = null }: PowerChange,
): Promise<PowerDecision['kind'] | null> {
  const [row] = await query<PowerRow>(
    em,
    sql`select desired_status as "desiredStatus", status, power_generation::float8 as "powerGeneration",
            error_generation::float8 as "errorGeneration", to_json(failed_starts) as "failedStarts"
       from instances where id = ${instanceId} and deleted_at is null for update`,
  );
  if (!row) return null;
  const decision = decidePower(row, action);
  if (decision.kind !== 'changed') return decision.kind;
  const failedStarts = row.failedStarts.map((at) => new Date(at));
  const notBefore = action === 'start' ? startAfterFailures(failedStarts, now) : null;
  const reason = notBefore && START_PAUSED;
  await run(
    em,
    sql`update instances
        set desired_status = ${decision.desiredStatus}, status = ${decision.status}, transition_kind = ${decision.transitionKind}, transition_started_at = ${now}, transition_attempt = 0,
            transition_step = null, power_generation = power_generation + 1, start_not_before = ${notBefore}::timestamptz, deaths = '{}', breakdowns = '{}', give_up_for = null,
            queued_at = null, reason_code = ${reason?.code ?? null}, reason_message = ${reason?.message ?? null},
            reason_at = ${reason && now}::timestamptz, reason_retryable = ${reason?.retryable ?? null}::boolean
      where id = ${instanceId}`,
  );
  if (action !== 'start') await closeInterval(em, instanceId, null, meterNow);
  await wakeInstance(em, instanceId);
  return 'changed';
}
