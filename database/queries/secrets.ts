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

/** False when there was none. */
export async function deleteSecret(em: EntityManager, { instanceId, key }: OfSecret): Promise<boolean> {
  const rows = await em.execute<{ key: string }[]>(
    'delete from instance_secrets where instance_id = ? and key = ? returning key',
    [instanceId, key],
  );
  return rows.length > 0;
}
