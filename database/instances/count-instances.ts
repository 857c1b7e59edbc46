import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { db } from '../db.ts';
import { asNumber } from '../sql.ts';

/**
 * How many instances of the account are not gone. Locks the account's row, so that of two transactions that count in
 * order to add one, the second counts the first one's.
 */
export async function countInstancesLocked(em: EntityManager, accountId: string): Promise<number> {
  await lockAccount(em, accountId);
  const { count } = await db(em)
    .selectFrom('Instance')
    .select(({ fn }) => asNumber(fn.countAll()).as('count'))
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .executeTakeFirstOrThrow();
  return count;
}
