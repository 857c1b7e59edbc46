import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** How many sessions a process tries at a time. */
const AT_ONCE = 20;

/**
 * The sessions whose initial events are due. They are due again after a quarter of their age, between two seconds and five
 * minutes: at another process, should this one die, and for as long as their environment does not take them.
 */
export async function claimInitial(em: EntityManager): Promise<string[]> {
  const rows = await query<{ id: string }>(
    em,
    sql`update claude_sessions s
           set initial_due_at = now() + least(interval '5 minutes', greatest(interval '2 seconds', (now() - s.created_at) / 4))
          from (select id from claude_sessions where initial_due_at <= now()
                 order by initial_due_at limit ${AT_ONCE} for update skip locked) due
         where s.id = due.id returning s.id`,
  );
  return rows.map(({ id }) => id);
}
