import type { EntityManager } from '@mikro-orm/postgresql';
import { AppError } from '../../domain/errors.ts';
import { query, sql } from '../sql.ts';

/**
 * Locks the account's row until the transaction ends, so that of two transactions that count in order to add something, the
 * second counts what the first one added. Throws `unauthorized` when the account was deleted after the call was authenticated.
 */
export async function lockAccount(em: EntityManager, accountId: string): Promise<void> {
  const [row] = await query<{ isDeleted: boolean }>(
    em,
    sql`select deleted_at is not null as "isDeleted" from accounts where id = ${accountId} for no key update`,
  );
  if (row?.isDeleted !== false) throw new AppError('unauthorized', 'This account was deleted.');
}
