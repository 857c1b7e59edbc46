import type { EntityManager } from '@mikro-orm/postgresql';
import type { NotNull } from 'kysely';
import { db } from '../db.ts';
import { anyOf } from '../sql.ts';

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
  return db(em)
    .selectFrom('Instance')
    .select(['id as instanceId', 'runtimeId', 'bootId', 'shard'])
    .$narrowType<{ bootId: NotNull }>()
    .where('shard', '=', anyOf(shards))
    .where('bootId', 'is not', null)
    .execute();
}
