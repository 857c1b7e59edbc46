import type { EntityManager } from '@mikro-orm/postgresql';

/** A gateway that takes messages, and so is to be watched. */
export interface GatewayToWatch {
  instanceId: string;
  runtimeId: string;
  /** The gateway process that takes its messages. */
  bootId: string;
  shard: number;
}

/** The gateways of all instances of these shards. */
export async function gatewaysToWatch(em: EntityManager, shards: readonly number[]): Promise<GatewayToWatch[]> {
  if (shards.length === 0) return [];
  return em.execute<GatewayToWatch[]>(
    `select id as "instanceId", runtime_id as "runtimeId", boot_id as "bootId", shard
       from instances where shard in (?) and boot_id is not null`,
    [[...shards]],
  );
}
