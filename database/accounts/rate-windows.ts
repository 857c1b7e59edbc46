import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

export interface RateClaim {
  subject: string;
  count: number;
  now: Date;
  windowMs: number;
}

export interface RateWindowState {
  startedMs: number;
  /** What all processes together have claimed, this claim included. It may exceed the limit: nothing above it was granted. */
  used: number;
}

const PATIENCE_MS = 2_000;

/**
 * Counts this many requests of the subject in its window, or in a new one when that is over. Rejects when the database
 * does not answer within two seconds.
 */
export async function claimRequests(em: EntityManager, { subject, count, now, windowMs }: RateClaim): Promise<RateWindowState> {
  const endedBefore = new Date(now.getTime() - windowMs);
  const [row] = await query<RateWindowState>(
    em,
    sql`insert into rate_windows as current (subject, started_at, used) values (${subject}, ${now}, ${count})
     on conflict (subject) do update
        set used = case when current.started_at <= ${endedBefore} then excluded.used else current.used + excluded.used end,
            started_at = case when current.started_at <= ${endedBefore} then excluded.started_at else current.started_at end
     returning extract(epoch from started_at)::float8 * 1000 as "startedMs", used`,
    { signal: AbortSignal.timeout(PATIENCE_MS) },
  );
  if (!row) throw new Error('the rate window gave no count');
  return { startedMs: Math.round(row.startedMs), used: row.used };
}

/** Removes one batch of windows that began before this moment. Says how many. */
export async function removeOldWindows(em: EntityManager, { before, limit }: { before: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`delete from rate_windows where subject in (select subject from rate_windows where started_at < ${before} limit ${limit})`,
  );
}
