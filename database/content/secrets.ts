import type { EntityManager } from '@mikro-orm/postgresql';
import { query, run, sql } from '../sql.ts';

interface OfSecret {
  instanceId: string;
  key: string;
}

/** Stores a secret, or replaces it. The value is encrypted. */
export async function storeSecret(
  em: EntityManager,
  { instanceId, key, value, now }: OfSecret & { value: string; now: Date },
): Promise<void> {
  await run(
    em,
    sql`insert into instance_secrets (instance_id, key, value, updated_at) values (${instanceId}, ${key}, ${value}, ${now})
     on conflict (instance_id, key) do update set value = excluded.value, updated_at = excluded.updated_at`,
  );
}

/** How many bytes the names and values of an instance's secrets have. An encrypted value is as long as it is in clear. */
export async function countSecretBytes(em: EntityManager, instanceId: string): Promise<number> {
  const [row] = await query<{ bytes: number }>(
    em,
    sql`select coalesce(sum(octet_length(key) + octet_length(split_part(value, '.', 4)) * 3 / 4), 0)::float8 as bytes
       from instance_secrets where instance_id = ${instanceId}`,
  );
  return row?.bytes ?? 0;
}

export interface SealedSecret {
  accountId: string;
  key: string;
  /** Encrypted. */
  value: string;
}

/** The secrets of an instance, encrypted, in order of their keys. */
export async function findSealedSecrets(em: EntityManager, instanceId: string): Promise<SealedSecret[]> {
  return query<SealedSecret>(
    em,
    sql`select instances.account_id as "accountId", key, value
          from instance_secrets join instances on instances.id = instance_id where instance_id = ${instanceId} order by key`,
  );
}

/** False when there was none. */
export async function deleteSecret(em: EntityManager, { instanceId, key }: OfSecret): Promise<boolean> {
  const rows = await query<{ key: string }>(
    em,
    sql`delete from instance_secrets where instance_id = ${instanceId} and key = ${key} returning key`,
  );
  return rows.length > 0;
}
