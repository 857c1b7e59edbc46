import { FAILED_STARTS_WINDOW_MS, MAX_FAILED_STARTS } from '../../domain/lifecycle.ts';
import { sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/**
 * Part of an update of an instance: remembers a start that failed or a gateway that died, for the pause before the next
 * start that is asked for.
 */
export function noteFailedStart(at: Date): Sql {
  const since = new Date(at.getTime() - FAILED_STARTS_WINDOW_MS);
  return sql`failed_starts = array(
    select at from unnest(failed_starts || array[${at}::timestamptz]) as at
     where at > ${since}::timestamptz order by at desc limit ${MAX_FAILED_STARTS}::int)`;
}
