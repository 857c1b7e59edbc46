import type { EntityManager } from '@mikro-orm/postgresql';
import { lockAccount } from '../accounts/lock-account.ts';
import { query, sql } from '../sql.ts';

/**
 * How many instances of the account are not gone. Locks the account's row, so that of two transactions that count in
 * order to add one, the second counts the first one's.
 */
export async function countInstancesLocked(em: EntityManager, accountId: string): Promise<number> {
  await lockAccount(em, accountId);
  const [row] = await query<{ count: number }>(
    em,
    sql`select count(*)::int as count from instances where account_id = ${accountId} and deleted_at is null`,
  );
  return row?.count ?? 0;
}
