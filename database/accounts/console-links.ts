import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';

interface NewLink {
  accountId: string;
  hash: Buffer;
  expiresAt: Date;
}

/** Makes this the one live link of the account; an earlier one is void. */
export async function storeConsoleLink(em: EntityManager, { accountId, hash, expiresAt }: NewLink): Promise<void> {
  await db(em)
    .updateTable('Account')
    .set({ consoleLinkHash: hash, consoleLinkExpiresAt: expiresAt })
    .where('id', '=', accountId)
    .execute();
}

/** Uses the link up, for one caller however many try at once. Null when there is none, or it has expired. */
export async function spendConsoleLink(
  em: EntityManager,
  hash: Buffer,
  now: Date,
): Promise<{ accountId: string; tokenVersion: number } | null> {
  const account = await db(em)
    .updateTable('Account')
    .set({ consoleLinkHash: null, consoleLinkExpiresAt: null })
    .where('consoleLinkHash', '=', hash)
    .where('consoleLinkExpiresAt', '>', now)
    .returning(['id', 'tokenVersion'])
    .executeTakeFirst();
  return account ? { accountId: account.id, tokenVersion: account.tokenVersion } : null;
}
