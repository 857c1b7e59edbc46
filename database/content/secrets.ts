import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';
import { asNumber, sql } from '../sql.ts';

interface OfSecret {
  instanceId: string;
  key: string;
}

/** Stores a secret, or replaces it. The value is encrypted. */
export async function storeSecret(
  em: EntityManager,
  { instanceId, key, value, now }: OfSecret & { value: string; now: Date },
): Promise<void> {
  await db(em)
    .insertInto('InstanceSecret')
    .values({ instance: instanceId, key, value, updatedAt: now })
    .onConflict((conflict) => conflict.columns(['instance', 'key']).doUpdateSet({ value, updatedAt: now }))
    .execute();
}

/** How many bytes the names and values of an instance's secrets have. An encrypted value is as long as it is in clear. */
export async function countSecretBytes(em: EntityManager, instanceId: string): Promise<number> {
  const { bytes } = await db(em)
    .selectFrom('InstanceSecret')
    .select((eb) => {
      const size = sql`octet_length(${eb.ref('key')}) + octet_length(split_part(${eb.ref('value')}, '.', 4)) * 3 / 4`;
      return asNumber(sql<bigint>`coalesce(sum(${size}), 0)`).as('bytes');
    })
    .where('instance', '=', instanceId)
    .executeTakeFirstOrThrow();
  return bytes;
}

export interface SealedSecret {
  accountId: string;
  key: string;
  /** Encrypted. */
  value: string;
}

/** The secrets of an instance, encrypted, in order of their keys. */
export async function findSealedSecrets(em: EntityManager, instanceId: string): Promise<SealedSecret[]> {
  return db(em)
    .selectFrom('InstanceSecret as secret')
    .innerJoin('Instance as instances', 'instances.id', 'secret.instance')
    .select(['instances.account as accountId', 'secret.key', 'secret.value'])
    .where('secret.instance', '=', instanceId)
    .orderBy('secret.key')
    .execute();
}

/** False when there was none. */
export async function deleteSecret(em: EntityManager, { instanceId, key }: OfSecret): Promise<boolean> {
  const { numDeletedRows } = await db(em)
    .deleteFrom('InstanceSecret')
    .where('instance', '=', instanceId)
    .where('key', '=', key)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}
