import type { EntityManager } from '@mikro-orm/postgresql';
import { STUCK_AFTER_MS } from '../../domain/lifecycle.ts';
import { query, sql } from '../sql.ts';
import { IS_ASLEEP } from './lifecycle-sql.ts';

const TOO_LONG_AGO = sql`now() - make_interval(secs => ${STUCK_AFTER_MS / 1_000})`;

/** How many instances are in `error`, in one transition for too long, or asleep with a gateway that does not end. */
export async function countStuck(em: EntityManager): Promise<{ error: number; transition: number }> {
  const [counts] = await query<{ error: number; transition: number }>(
    em,
    sql`select count(*) filter (where status = 'error')::float8 as error,
            count(*) filter (where status <> 'error' and greatest(transition_started_at, start_not_before) < ${TOO_LONG_AGO}
                             or ${IS_ASLEEP} and gateway_epoch is distinct from 0 and suspended_at is null and sleep_since < ${TOO_LONG_AGO})::float8 as transition
       from instances where deleted_at is null`,
  );
  return counts ?? { error: 0, transition: 0 };
}
