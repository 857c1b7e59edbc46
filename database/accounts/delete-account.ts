import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { run, sql } from '../sql.ts';
import { revokeAllKeys } from './api-keys.ts';

interface DeletedAccount {
  accountId: string;
  now: Date;
}

/**
 * Deletes an account as far as its own rows go: its name, tokens, keys, webhooks and budgets. Answers its instances that are
 * not gone, which the caller destroys in the same transaction, in the order of their ids. Locks the account, so that nothing is
 * added to it any more.
 */
export async function deleteAccountRows(em: EntityManager, { accountId, now }: DeletedAccount): Promise<string[]> {
  const tables = db(em);
  await tables
    .updateTable('Account')
    .set((eb) => ({ deletedAt: now, name: '', tokenVersion: eb('tokenVersion', '+', 1) }))
    .set({ consoleLinkHash: null, consoleLinkExpiresAt: null })
    .where('id', '=', accountId)
    .where('deletedAt', 'is', null)
    .execute();
  await revokeAllKeys(em, accountId, now);
  await tables
    .updateTable('Webhook')
    .set({ deletedAt: now, enabled: false, secret: '', previousSecret: null })
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .execute();
  await tables
    .updateTable('Budget')
    .set({ deletedAt: now })
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .execute();
  const instances = await tables
    .selectFrom('Instance')
    .select('id')
    .where('account', '=', accountId)
    .where('deletedAt', 'is', null)
    .orderBy('id')
    .execute();
  return instances.map(({ id }) => id);
}

/**
 * Removes the address of one batch of accounts that were deleted before this moment, so that it can be registered again. Says how
 * many.
 */
export async function removeOldAddresses(em: EntityManager, { before, limit }: { before: Date; limit: number }): Promise<number> {
  const { id, email, deletedAt } = columns(Account);
  // As in accounts_deleted_index.
  const removed = sql`${id} || '@deleted.invalid'`;
  return run(
    em,
    sql`update accounts set ${email} = ${removed} where ${id} in (
          select ${id} from accounts where ${deletedAt} < ${before} and ${email} <> ${removed} limit ${limit})`,
  );
}
