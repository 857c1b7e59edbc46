import type { EntityManager } from '@mikro-orm/postgresql';

/** `last_used_at` is this coarse, so that a busy key is written once a minute and not with each call. */
const USE_RESOLUTION = "interval '1 minute'";

interface KeyOwner {
  keyId: string;
  accountId: string;
  /** Whether the last use that is noted is over a minute old. */
  useIsStale: boolean;
}

/** With every call of a program: to plan it takes longer than to carry it out. */
export const PREPARE_ACCOUNT_OF_KEY = `
  prepare account_of_key (bytea, timestamptz) as
  select id as "keyId", account_id as "accountId",
         (last_used_at is null or last_used_at < $2 - ${USE_RESOLUTION}) as "useIsStale"
    from api_keys
   where hash = $1 and revoked_at is null and (expires_at is null or expires_at > $2)`;

/** Whose key has this hash; null when there is none that is good now. One look into a unique index. */
export async function findAccountOfKey(em: EntityManager, hash: Buffer, now: Date): Promise<KeyOwner | null> {
  const [row] = await em.execute<KeyOwner[]>('execute account_of_key (?, ?)', [hash, now]);
  return row ?? null;
}

/** Notes that the key was used, at most once a minute however many processes do. */
export async function touchApiKey(em: EntityManager, keyId: string, now: Date): Promise<void> {
  await em.execute(
    `update api_keys set last_used_at = ?
      where id = ? and (last_used_at is null or last_used_at < ?::timestamptz - ${USE_RESOLUTION})`,
    [now, keyId, now],
    'run',
  );
}

/** Revokes one key of the account; false when it has no such key. */
export async function revokeKey(em: EntityManager, accountId: string, keyId: string, now: Date): Promise<boolean> {
  const rows = await em.execute<{ id: string }[]>(
    'update api_keys set revoked_at = ? where id = ? and account_id = ? and revoked_at is null returning id',
    [now, keyId, accountId],
  );
  return rows.length > 0;
}

/** Revokes every key of the account and says how many were still good. */
export async function revokeAllKeys(em: EntityManager, accountId: string, now: Date): Promise<number> {
  const rows = await em.execute<{ id: string }[]>(
    `update api_keys set revoked_at = ? where account_id = ? and revoked_at is null returning id`,
    [now, accountId],
  );
  return rows.length;
}
