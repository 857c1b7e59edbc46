import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** Changes within this time share one restart. */
const GATHER_MS = 2_000;

/**
 * Asks for a new gateway process, for an instance whose row this transaction holds and that is to be woken. False, and
 * nothing changed, when it does not run: the next start makes a new one anyway. It takes no messages from then on.
 */
export async function requestRestart(
  em: EntityManager,
  { instanceId, now }: { instanceId: string; now: Date },
): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update instances
        set restart_generation = restart_generation + 1,
            restart_not_before = case when restart_not_before > ${now}::timestamptz then restart_not_before
                                      else ${now}::timestamptz + ${GATHER_MS}::int * interval '1 millisecond' end,
            transition_started_at = case when transition_kind = 'restarting' then transition_started_at else ${now}::timestamptz end,
            transition_attempt = case when transition_kind = 'restarting' then transition_attempt else 0 end,
            transition_step = case when transition_kind = 'restarting' then transition_step end,
            transition_kind = 'restarting'
      where id = ${instanceId} and status = 'running' and desired_status = 'running' returning id`,
  );
  return rows.length > 0;
}
