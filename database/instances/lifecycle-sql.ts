import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

// What domain/lifecycle.ts decides of one row, for statements that look at many. A test compares them over all states.

/** `takesMessages` for the row of `instances` of this name. */
export function takesMessages(instance: 'instances' | 'i'): Sql {
  const column = (name: string): Sql => sql.ref(`${instance}.${name}`);
  return sql`${column('status')} = 'running' and ${column('desired_status')} = 'running'
    and ${column('transition_kind')} is null and ${column('boot_id')} is not null`;
}

/** The present wish for this row of `instances` has failed for good. */
const HAS_GIVEN_UP = sql`(status = 'error' and error_generation is not distinct from power_generation)`;

/** `isAsleep` for this row of `instances`. */
export const IS_ASLEEP = sql`(desired_status = 'running' and status = 'stopped' and sleep_state = 'asleep')`;

/** The gateway of this row of `instances` is suspended. */
export const IS_SUSPENDED = sql`(${IS_ASLEEP} and suspended_at is not null)`;

/** What a sleeper has left to do: its gateway is suspended or ends, or it wakes for a message. */
export const IS_RESTLESS = sql`(gateway_epoch is distinct from 0 and suspended_at is null
  or exists (select from messages where instance_id = instances.id and messages.status = 'pending'))`;

/** This row of `instances` is wanted to run, has not given up and does not sleep. */
export const IS_WANTED = sql`deleted_at is null and desired_status = 'running' and not ${HAS_GIVEN_UP} and not ${IS_ASLEEP}`;

/** `nextStep` is something for this row of `instances`. */
export const IS_UNCONVERGED = sql`
  deleted_at is null
  and (desired_status = 'destroyed'
       or not ${HAS_GIVEN_UP}
          and case when desired_status = 'stopped'
                   then status <> 'stopped' or boot_id is not null or transition_kind is not null
                        or exists (select from runtime_intervals where instance_id = instances.id and ended_at is null)
                   when ${IS_ASLEEP} then ${IS_RESTLESS}
                   else status <> 'running' or boot_id is null
                        or restart_generation > applied_restart_generation or content_generation > applied_content_generation
                        or not exists (select from runtime_intervals where instance_id = instances.id and ended_at is null)
              end)`;
