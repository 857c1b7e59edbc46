import type { EntityManager } from '@mikro-orm/postgresql';
import type { KeyLimits } from '../../domain/key-scopes.ts';
import { plannedQuery, query, run, sql } from '../sql.ts';

/** `last_used_at` is this coarse, so that a busy key is written once a minute and not with each call. */
const USE_RESOLUTION = sql`interval '1 minute'`;

interface KeyOwner extends KeyLimits {
  keyId: string;
  accountId: string;
  /** Whether the last use that is noted is over a minute old. */
  useIsStale: boolean;
}

/** Whose key has this hash; null when there is none that is good now. One look into a unique index. */
export async function findAccountOfKey(em: EntityManager, hash: Buffer, now: Date): Promise<KeyOwner | null> {
  const statement = sql`
    select id as "keyId", account_id as "accountId", scopes, instance_id as "instanceId",
           (last_used_at is null or last_used_at < ${now}::timestamptz - ${USE_RESOLUTION}) as "useIsStale"
      from api_keys
     where hash = ${hash} and revoked_at is null and (expires_at is null or expires_at > ${now}::timestamptz)`;
  const [row] = await plannedQuery<KeyOwner>(em, 'account_of_key', statement);
  return row ?? null;
}

/** Notes that the key was used, at most once a minute however many processes do. */
export async function touchApiKey(em: EntityManager, keyId: string, now: Date): Promise<void> {
  await run(
    em,
    sql`update api_keys set last_used_at = ${now}
      where id = ${keyId} and (last_used_at is null or last_used_at < ${now}::timestamptz - ${USE_RESOLUTION})`,
  );
}

/** Revokes one key of the account; false when it has no such key. */
export async function revokeKey(em: EntityManager, accountId: string, keyId: string, now: Date): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update api_keys set revoked_at = ${now} where id = ${keyId} and account_id = ${accountId} and revoked_at is null returning id`,
  );
  return rows.length > 0;
}

/** Revokes every key of the account and says how many were still good. */
export async function revokeAllKeys(em: EntityManager, accountId: string, now: Date): Promise<number> {
  const rows = await query<{ id: string }>(
    em,
    sql`update api_keys set revoked_at = ${now} where account_id = ${accountId} and revoked_at is null returning id`,
  );
  return rows.length;
}
