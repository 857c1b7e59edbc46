import type { EntityManager } from '@mikro-orm/postgresql';
import { columns, db } from '../db.ts';
import { Account } from '../entities/account.ts';
import { fetchPlannedRow } from '../rows.ts';
import { sql } from '../sql.ts';

const { id, tokenVersion } = columns(Account);
const VERSION = { tokenVersion };

/** The version that a token of this account must carry; null when there is no such account. */
export async function findTokenVersion(em: EntityManager, accountId: string): Promise<number | null> {
  const account = await fetchPlannedRow(
    em,
    'token_version',
    VERSION,
    (fields) => sql`select ${fields} from accounts where ${id} = ${accountId}`,
  );
  return account?.tokenVersion ?? null;
}

/** Makes every token of the account void. */
export async function revokeTokens(em: EntityManager, accountId: string): Promise<void> {
  await db(em)
    .updateTable('Account')
    .set((eb) => ({ tokenVersion: eb('tokenVersion', '+', 1) }))
    .where('id', '=', accountId)
    .execute();
}
