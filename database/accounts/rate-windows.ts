import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { RateWindow } from '../entities/rate-window.ts';
import { fetchRow } from '../rows.ts';
import { run, sql } from '../sql.ts';

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
const { subject, startedAt, used } = columns(RateWindow);

/**
 * Counts this many requests of the subject in its window, or in a new one when that is over. Rejects when the database
 * does not answer within two seconds.
 */
export async function claimRequests(em: EntityManager, claim: RateClaim): Promise<RateWindowState> {
  const { count, now, windowMs } = claim;
  const endedBefore = new Date(now.getTime() - windowMs);
  const current = columns(RateWindow, 'current');
  const excluded = columns(RateWindow, 'excluded');
  const hasEnded = sql`${current.startedAt} <= ${endedBefore}`;
  const window = await fetchRow(
    em,
    { startedAt, used },
    (fields) => sql`
      insert into rate_windows as current (${subject}, ${startedAt}, ${used}) values (${claim.subject}, ${now}, ${count})
      on conflict (${subject}) do update
         set ${used} = case when ${hasEnded} then ${excluded.used} else ${current.used} + ${excluded.used} end,
             ${startedAt} = case when ${hasEnded} then ${excluded.startedAt} else ${current.startedAt} end
      returning ${fields}`,
    { signal: AbortSignal.timeout(PATIENCE_MS) },
  );
  if (!window) throw new Error('the rate window gave no count');
  return { startedMs: window.startedAt.getTime(), used: window.used };
}

/** Removes one batch of windows that began before this moment. Says how many. */
export async function removeOldWindows(em: EntityManager, { before, limit }: { before: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`delete from rate_windows where ${subject} in (select ${subject} from rate_windows where ${startedAt} < ${before} limit ${limit})`,
  );
}
