import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';
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
  await run(
    em,
    sql`update accounts set deleted_at = ${now}, name = '', token_version = token_version + 1,
             console_link_hash = null, console_link_expires_at = null
         where id = ${accountId} and deleted_at is null`,
  );
  await revokeAllKeys(em, accountId, now);
  await run(
    em,
    sql`update webhooks set deleted_at = ${now}, enabled = false, secret = '', previous_secret = null
         where account_id = ${accountId} and deleted_at is null`,
  );
  await run(em, sql`update budgets set deleted_at = ${now} where account_id = ${accountId} and deleted_at is null`);
  const rows = await query<{ id: string }>(
    em,
    sql`select id from instances where account_id = ${accountId} and deleted_at is null order by id`,
  );
  return rows.map(({ id }) => id);
}

/**
 * Removes the address of one batch of accounts that were deleted before this moment, so that it can be registered again. Says how
 * many.
 */
export async function removeOldAddresses(em: EntityManager, { before, limit }: { before: Date; limit: number }): Promise<number> {
  return run(
    em,
    sql`update accounts set email = id || '@deleted.invalid' where id in (
       select id from accounts
        where deleted_at < ${before} and email <> id || '@deleted.invalid' limit ${limit})`,
  );
}
