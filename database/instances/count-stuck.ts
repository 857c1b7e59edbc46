import type { EntityManager } from '@mikro-orm/postgresql';
import { STUCK_AFTER_MS } from '../../domain/lifecycle.ts';
import { query, sql } from '../sql.ts';

/** How many instances are in `error`, or in one transition for too long. */
export async function countStuck(em: EntityManager): Promise<{ error: number; transition: number }> {
  const [counts] = await query<{ error: number; transition: number }>(
    em,
    sql`select count(*) filter (where status = 'error')::float8 as error,
            count(*) filter (where status <> 'error' and greatest(transition_started_at, start_not_before) < now() - make_interval(secs => ${STUCK_AFTER_MS / 1_000}))::float8 as transition
       from instances where deleted_at is null`,
  );
  return counts ?? { error: 0, transition: 0 };
}
