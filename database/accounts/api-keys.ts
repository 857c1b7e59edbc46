import type { EntityManager } from '@mikro-orm/postgresql';
import type { KeyLimits } from '../../domain/key-scopes.ts';
import { columns, db } from '../db.ts';
import { ApiKey } from '../entities/api-key.ts';
import { fetchPlannedRow } from '../rows.ts';
import { run, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

interface KeyOwner extends KeyLimits {
  keyId: string;
  accountId: string;
  /** Whether the last use that is noted is over a minute old. */
  useIsStale: boolean;
}

const key = columns(ApiKey);

/** `last_used_at` is this coarse, so that a busy key is written once a minute and not with each call. */
const useIsStale = (now: Date): Sql =>
  sql`(${key.lastUsedAt} is null or ${key.lastUsedAt} < ${now}::timestamptz - interval '1 minute')`;

/** Whose key has this hash; null when there is none that is good now. One look into a unique index. */
export function findAccountOfKey(em: EntityManager, hash: Buffer, now: Date): Promise<KeyOwner | null> {
  const owner = { keyId: key.id, accountId: key.account, scopes: key.scopes, instanceId: key.instance };
  return fetchPlannedRow(
    em,
    'account_of_key',
    { ...owner, useIsStale: useIsStale(now).$castTo<boolean>() },
    (fields) => sql`
      select ${fields} from api_keys
       where ${key.hash} = ${hash} and ${key.revokedAt} is null and (${key.expiresAt} is null or ${key.expiresAt} > ${now}::timestamptz)`,
  );
}

/** Notes that the key was used, at most once a minute however many processes do. */
export async function touchApiKey(em: EntityManager, keyId: string, now: Date): Promise<void> {
  await run(em, sql`update api_keys set ${key.lastUsedAt} = ${now} where ${key.id} = ${keyId} and ${useIsStale(now)}`);
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
