import type { EntityManager } from '@mikro-orm/postgresql';

/** The version that a token of this account must carry; null when there is no such account. */
export async function findTokenVersion(em: EntityManager, accountId: string): Promise<number | null> {
  const [row] = await em.execute<{ token_version: number }[]>('select token_version from accounts where id = ?', [accountId]);
  return row?.token_version ?? null;
}

/** Makes every token of the account void. */
export async function revokeTokens(em: EntityManager, accountId: string): Promise<void> {
  await em.execute('update accounts set token_version = token_version + 1 where id = ?', [accountId], 'run');
}
