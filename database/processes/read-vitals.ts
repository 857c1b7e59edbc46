import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** What says how an installation is. Ages are in seconds. */
export interface Vitals {
  apis: number;
  workers: number;
  running: number;
  starting: number;
  turns: number;
  oldestTurnSeconds: number;
  modelCallsPerMinute: number;
  lastModelCallAt: Date | null;
}

/** A process that was not seen for so long has ended. */
const SEEN_SECONDS = 10;
/** More calls in a minute than these are not counted. */
const MOST_CALLS = 10_000;

/** How many processes are alive, what they have to do, and whether models are called. */
export async function readVitals(em: EntityManager): Promise<Vitals> {
  const [row] = await query<Omit<Vitals, 'lastModelCallAt'> & { lastModelCallAt: Date | string | null }>(
    em,
    sql`select (select count(*) from processes where kind = 'api' and seen_at > now() - make_interval(secs => ${SEEN_SECONDS}))::float8 as apis,
          (select count(*) from processes where kind = 'worker' and seen_at > now() - make_interval(secs => ${SEEN_SECONDS}))::float8 as workers,
          instance.running, instance.starting, turn.turns, turn."oldestTurnSeconds", call."modelCallsPerMinute", call."lastModelCallAt"
     from (select count(*) filter (where status = 'running')::float8 as running,
                  count(*) filter (where status = 'provisioning')::float8 as starting
             from instances where deleted_at is null) instance
    cross join (select count(*)::float8 as turns,
                       coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as "oldestTurnSeconds"
                  from messages where status = 'pending') turn
    cross join (select count(*) filter (where at > now() - interval '1 minute')::float8 as "modelCallsPerMinute", max(at) as "lastModelCallAt"
                  from (select at from model_calls order by id desc limit ${MOST_CALLS}) newest) call`,
  );
  if (!row) throw new Error('a query without a condition has one row');
  return { ...row, lastModelCallAt: row.lastModelCallAt === null ? null : new Date(row.lastModelCallAt) };
}
