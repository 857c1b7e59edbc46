import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

interface NewLink {
  accountId: string;
  hash: Buffer;
  expiresAt: Date;
}

/** Makes this the one live link of the account; an earlier one is void. */
export async function storeConsoleLink(em: EntityManager, { accountId, hash, expiresAt }: NewLink): Promise<void> {
  await run(
    em,
    sql`update accounts set console_link_hash = ${hash}, console_link_expires_at = ${expiresAt} where id = ${accountId}`,
  );
}

/** Uses the link up, for one caller however many try at once. Null when there is none, or it has expired. */
export async function spendConsoleLink(
  em: EntityManager,
  hash: Buffer,
  now: Date,
): Promise<{ accountId: string; tokenVersion: number } | null> {
  const [row] = await query<{ accountId: string; tokenVersion: number }>(
    em,
    sql`update accounts set console_link_hash = null, console_link_expires_at = null
      where console_link_hash = ${hash} and console_link_expires_at > ${now}
      returning id as "accountId", token_version as "tokenVersion"`,
  );
  return row ?? null;
}
