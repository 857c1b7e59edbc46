import type { EntityManager } from '@mikro-orm/postgresql';
import { AppError } from '../../domain/errors.ts';
import { db } from '../db.ts';

/**
 * Locks the account's row until the transaction ends, so that of two transactions that count in order to add something, the
 * second counts what the first one added. Throws `unauthorized` when the account was deleted after the call was authenticated.
 */
export async function lockAccount(em: EntityManager, accountId: string): Promise<void> {
  const account = await db(em)
    .selectFrom('Account')
    .select('deletedAt')
    .where('id', '=', accountId)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (account?.deletedAt !== null) throw new AppError('unauthorized', 'This account was deleted.');
}
