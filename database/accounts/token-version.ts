import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

/** The version that a token of this account must carry; null when there is no such account. */
export async function findTokenVersion(em: EntityManager, accountId: string): Promise<number | null> {
  const [row] = await query<{ token_version: number }>(em, sql`select token_version from accounts where id = ${accountId}`);
  return row?.token_version ?? null;
}

/** Makes every token of the account void. */
export async function revokeTokens(em: EntityManager, accountId: string): Promise<void> {
  await run(em, sql`update accounts set token_version = token_version + 1 where id = ${accountId}`);
}
