import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';

/**
 * Computes again when the money is used up, for up to a limit of accounts whose agents have called priced models since the last
 * computation, in the caller's transaction. Answers for how many. Locks their charges, then the accounts.
 */
export async function reckonCharged(em: EntityManager, now: Date, limit: number): Promise<number> {
  const rows = await query<{ id: string }>(
    em,
    sql`update token_charges set reckoned = true
      where not reckoned and account_id in (select distinct account_id from token_charges where not reckoned order by account_id limit ${limit})
     returning account_id as id`,
  );
  const ids = [...new Set(rows.map(({ id }) => id))];
  await reckonExhaustion(em, ids, now);
  return ids.length;
}
