import type { EntityManager } from '@mikro-orm/postgresql';

interface OfSecret {
  instanceId: string;
  key: string;
}

/** Stores a secret, or replaces it. The value is encrypted. */
export async function storeSecret(
  em: EntityManager,
  { instanceId, key, value, now }: OfSecret & { value: string; now: Date },
): Promise<void> {
  await em.execute(
    `insert into instance_secrets (instance_id, key, value, updated_at) values (?, ?, ?, ?)
     on conflict (instance_id, key) do update set value = excluded.value, updated_at = excluded.updated_at`,
    [instanceId, key, value, now],
    'run',
  );
}

/** How many bytes the names and values of an instance's secrets have. An encrypted value is as long as it is in clear. */
export async function countSecretBytes(em: EntityManager, instanceId: string): Promise<number> {
  const [row] = await em.execute<{ bytes: number }[]>(
    `select coalesce(sum(octet_length(key) + octet_length(split_part(value, '.', 4)) * 3 / 4), 0)::float8 as bytes
       from instance_secrets where instance_id = ?`,
    [instanceId],
  );
  return row?.bytes ?? 0;
}

/** False when there was none. */
export async function deleteSecret(em: EntityManager, { instanceId, key }: OfSecret): Promise<boolean> {
  const rows = await em.execute<{ key: string }[]>(
    'delete from instance_secrets where instance_id = ? and key = ? returning key',
    [instanceId, key],
  );
  return rows.length > 0;
}
