import type { EntityManager } from '@mikro-orm/postgresql';

/** Which of these instances have a gateway that no worker watches now, so that its status is only the last known one. */
export async function findUnwatched(em: EntityManager, instanceIds: readonly string[]): Promise<Set<string>> {
  if (instanceIds.length === 0) return new Set();
  const rows = await em.execute<{ id: string }[]>(
    `select instances.id
       from instances left join watch_shards shard on shard.shard = instances.shard
      where instances.id in (${instanceIds.map(() => '?').join(', ')}) and instances.boot_id is not null
        and (shard.owner is null or shard.expires_at is null or shard.expires_at < now())`,
    [...instanceIds],
  );
  return new Set(rows.map(({ id }) => id));
}
