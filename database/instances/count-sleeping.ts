import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { IS_ASLEEP } from './lifecycle-sql.ts';

/** How many instances of all accounts sleep, and how many are waking. */
export async function countSleeping(em: EntityManager): Promise<{ asleep: number; waking: number }> {
  const [counts] = await query<{ asleep: number; waking: number }>(
    em,
    sql`select count(*) filter (where ${IS_ASLEEP})::float8 as asleep, count(*) filter (where sleep_state = 'waking')::float8 as waking
       from instances where deleted_at is null and sleep_state <> 'awake'`,
  );
  return counts ?? { asleep: 0, waking: 0 };
}
