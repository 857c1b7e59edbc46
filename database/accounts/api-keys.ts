import type { EntityManager } from '@mikro-orm/postgresql';
import type { KeyLimits } from '../../domain/access/key-scopes.ts';
import { columns, db } from '../db.ts';
import { ApiKey } from '../entities/api-key.ts';
import { fetchPlannedRow } from '../rows.ts';
import { sql } from '../sql.ts';

interface KeyOwner extends KeyLimits {
  keyId: string;
  accountId: string;
  /** Whether the last use that is noted is over a minute old. */
  useIsStale: boolean;
}

const key = columns(ApiKey);
const OWNER = { keyId: key.id, accountId: key.account, scopes: key.scopes, instanceId: key.instance, lastUsedAt: key.lastUsedAt };

/** `last_used_at` is this coarse, so that a busy key is written once a minute and not with each call. */
const USE_RESOLUTION_MS = 60_000;

const staleBefore = (now: Date): Date => new Date(now.getTime() - USE_RESOLUTION_MS);

/** Whose key has this hash; null when there is none that is good now. One look into a unique index. */
export async function findAccountOfKey(em: EntityManager, hash: Buffer, now: Date): Promise<KeyOwner | null> {
  const found = await fetchPlannedRow(
    em,
    'account_of_key',
    OWNER,
    (fields) => sql`
      select ${fields} from api_keys
       where ${key.hash} = ${hash} and ${key.revokedAt} is null and (${key.expiresAt} is null or ${key.expiresAt} > ${now}::timestamptz)`,
  );
  if (!found) return null;
  const { lastUsedAt, ...owner } = found;
  return { ...owner, useIsStale: lastUsedAt === null || lastUsedAt < staleBefore(now) };
}

/** Notes that the key was used, at most once a minute however many processes do. */
export async function touchApiKey(em: EntityManager, keyId: string, now: Date): Promise<void> {
  await db(em)
    .updateTable('ApiKey')
    .set({ lastUsedAt: now })
    .where('id', '=', keyId)
    .where((eb) => eb.or([eb('lastUsedAt', 'is', null), eb('lastUsedAt', '<', staleBefore(now))]))
    .execute();
}

/** Revokes one key of the account; false when it has no such key. */
export async function revokeKey(em: EntityManager, accountId: string, keyId: string, now: Date): Promise<boolean> {
  const { numUpdatedRows } = await revoke(em, accountId, now).where('id', '=', keyId).executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Revokes every key of the account and says how many were still good. */
export async function revokeAllKeys(em: EntityManager, accountId: string, now: Date): Promise<number> {
  const { numUpdatedRows } = await revoke(em, accountId, now).executeTakeFirst();
  return Number(numUpdatedRows);
}

function revoke(em: EntityManager, accountId: string, now: Date) {
  return db(em).updateTable('ApiKey').set({ revokedAt: now }).where('account', '=', accountId).where('revokedAt', 'is', null);
}
