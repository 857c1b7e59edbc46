import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { reckonExhaustion } from './reckon-exhaustion.ts';

/**
 * Computes again when the money is used up, for up to a limit of accounts whose agents have called priced models since the last
 * computation, in the caller's transaction. Answers for how many. Locks their charges, then the accounts.
 */
export async function reckonCharged(em: EntityManager, now: Date, limit: number): Promise<number> {
  const rows = await db(em)
    .updateTable('TokenCharge')
    .set({ reckoned: true })
    .where('reckoned', '=', false)
    .where('account', 'in', (eb) =>
      eb.selectFrom('TokenCharge').select('account').distinct().where('reckoned', '=', false).orderBy('account').limit(limit),
    )
    .returning('account')
    .execute();
  const ids = [...new Set(rows.map(({ account }) => account))];
  await reckonExhaustion(em, ids, now);
  return ids.length;
}
