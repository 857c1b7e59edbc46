import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

interface NewAccount {
  id: string;
  email: string;
  name: string;
  emailVerifiedAt: Date | null;
  createdAt: Date;
}

/** The account that is reached at this address; null when there is none, or it was deleted. */
export async function findAccountId(em: EntityManager, email: string): Promise<string | null> {
  const [row] = await query<{ id: string }>(em, sql`select id from accounts where email = ${email} and deleted_at is null`);
  return row?.id ?? null;
}

/** Adds the account; false when its address is taken. */
export async function insertAccount(em: EntityManager, account: NewAccount): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`insert into accounts (id, email, name, email_verified_at, created_at) values (${account.id}, ${account.email}, ${account.name}, ${account.emailVerifiedAt}, ${account.createdAt})
     on conflict (email) do nothing returning id`,
  );
  return rows.length > 0;
}

/** Notes that an address was registered a second time before it was verified. */
export async function markRegistrationContested(em: EntityManager, email: string): Promise<void> {
  await run(
    em,
    sql`update accounts set met_unverified = true where email = ${email} and email_verified_at is null and deleted_at is null`,
  );
}

/**
 * Notes that the address is verified. `wasContested` when it had been registered a second time before: then every earlier token
 * is void from now on, and the caller must revoke the keys.
 */
export async function markVerified(em: EntityManager, accountId: string, now: Date) {
  const [row] = await query<{ tokenVersion: number; wasContested: boolean }>(
    em,
    sql`update accounts
        set email_verified_at = coalesce(email_verified_at, ${now}), met_unverified = false,
            token_version = token_version + met_unverified::int
      where id = ${accountId}
      returning new.token_version as "tokenVersion", old.met_unverified as "wasContested"`,
  );
  if (!row) throw new Error('the account of a login code is gone');
  return row;
}
