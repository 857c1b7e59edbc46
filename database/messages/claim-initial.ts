import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { ClaudeSession } from '../entities/claude-session.ts';
import { fetchRows } from '../rows.ts';
import { sql } from '../sql.ts';

/** How many sessions a process tries at a time. */
const AT_ONCE = 20;

/**
 * The sessions whose initial events are due. They are due again after a quarter of their age, between two seconds and five
 * minutes: at another process, should this one die, and for as long as their environment does not take them.
 */
export async function claimInitial(em: EntityManager): Promise<string[]> {
  const session = columns(ClaudeSession, 's');
  const { id, initialDueAt } = columns(ClaudeSession);
  const pause = sql`least(interval '5 minutes', greatest(interval '2 seconds', (now() - ${session.createdAt}) / 4))`;
  const claimed = await fetchRows(
    em,
    { id: session.id },
    (fields) => sql`
      update claude_sessions s set ${initialDueAt} = now() + ${pause}
        from (select ${id} from claude_sessions where ${initialDueAt} <= now()
               order by ${initialDueAt} limit ${AT_ONCE} for update skip locked) due
       where ${session.id} = due.${id} returning ${fields}`,
  );
  return claimed.map((row) => row.id);
}
