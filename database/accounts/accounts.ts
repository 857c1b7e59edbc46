import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { fetchRow } from '../rows.ts';
import { sql } from '../sql.ts';

interface NewAccount {
  id: string;
  email: string;
  name: string;
  emailVerifiedAt: Date | null;
  createdAt: Date;
}

/** The account that is reached at this address; null when there is none, or it was deleted. */
export async function findAccountId(em: EntityManager, email: string): Promise<string | null> {
  const account = await db(em)
    .selectFrom('Account')
    .select('id')
    .where('email', '=', email)
    .where('deletedAt', 'is', null)
    .executeTakeFirst();
  return account?.id ?? null;
}

/** Adds the account; false when its address is taken. */
export async function insertAccount(em: EntityManager, account: NewAccount): Promise<boolean> {
  const added = await db(em)
    .insertInto('Account')
    .values(account)
    .onConflict((conflict) => conflict.column('email').doNothing())
    .returning('id')
    .executeTakeFirst();
  return added !== undefined;
}

/** Notes that an address was registered a second time before it was verified. */
export async function markRegistrationContested(em: EntityManager, email: string): Promise<void> {
  await db(em)
    .updateTable('Account')
    .set({ registrationContested: true })
    .where('email', '=', email)
    .where('emailVerifiedAt', 'is', null)
    .where('deletedAt', 'is', null)
    .execute();
}

/**
 * Notes that the address is verified. `wasContested` when it had been registered a second time before: then every earlier token
 * is void from now on, and the caller must revoke the keys.
 */
export async function markVerified(em: EntityManager, accountId: string, now: Date) {
  const c = columns(Account);
  const fields = {
    tokenVersion: columns(Account, 'new').tokenVersion,
    wasContested: columns(Account, 'old').registrationContested,
  };
  const account = await fetchRow(
    em,
    fields,
    (list) => sql`
      update accounts
         set ${c.emailVerifiedAt} = coalesce(${c.emailVerifiedAt}, ${now}), ${c.registrationContested} = false,
             ${c.tokenVersion} = ${c.tokenVersion} + ${c.registrationContested}::int
       where ${c.id} = ${accountId} returning ${list}`,
  );
  if (!account) throw new Error('the account of a login code is gone');
  return account;
}
