import type { EntityManager } from '@mikro-orm/postgresql';

/**
 * How many instances of the account are not gone. Locks the account's row, so that of two transactions that count in
 * order to add one, the second counts the first one's.
 */
export async function countInstancesLocked(em: EntityManager, accountId: string): Promise<number> {
  await em.execute('select from accounts where id = ? for no key update', [accountId]);
  const [row] = await em.execute<{ count: number }[]>(
    'select count(*)::int as count from instances where account_id = ? and deleted_at is null',
    [accountId],
  );
  return row?.count ?? 0;
}
