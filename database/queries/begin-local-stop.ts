import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

export interface LocalStop {
  instanceId: string;
  runtimeId: string;
  /** Carried by everything that the stop does from here on. */
  epoch: number;
  /** It is to run again at the next start. */
  isWanted: boolean;
}

/**
 * The first half of a restart for the instances of these runtimes: they take no messages from now on, and whatever a
 * step still does to them is refused. What is wanted of them stays. Locks them in the order of their ids.
 */
export async function beginLocalStop(em: EntityManager, runtimeIds: readonly string[], now: Date): Promise<LocalStop[]> {
  if (runtimeIds.length === 0) return [];
  return query<LocalStop>(
    em,
    sql`with local as (
       select id from instances where runtime_id = any(${[...runtimeIds]}) and deleted_at is null order by id for update
     )
     update instances
        set epoch = epoch + 1,
            transition_kind = case when desired_status = 'running' then 'restarting' else transition_kind end,
            transition_started_at = case when desired_status = 'running' then ${now}::timestamptz else transition_started_at end,
            transition_step = case when desired_status = 'running' then 'draining' else transition_step end
       from local where instances.id = local.id
     returning instances.id as "instanceId", runtime_id as "runtimeId", epoch::float8 as epoch,
               desired_status = 'running' as "isWanted"`,
  );
}
