import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

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
  return query<GatewayToWatch>(
    em,
    sql`select id as "instanceId", runtime_id as "runtimeId", boot_id as "bootId", shard
       from instances where shard = any(${[...shards]}) and boot_id is not null`,
  );
}
