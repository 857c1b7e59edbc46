import type { EntityManager } from '@mikro-orm/postgresql';
import type { NotNull } from 'kysely';
import { z } from 'zod';
import type { GatewayAddress } from '../entities/instance.ts';
import { columns, db } from '../db.ts';
import { Instance } from '../entities/instance.ts';
import { sql } from '../sql.ts';

const addressRow = z.object({ wsUrl: z.string(), peer: z.enum(['loopback', 'remote']) });

/** The process whose address it is. */
const ADDRESSED_PROCESS = sql<string | null>`${columns(Instance, 'instances').gatewayAddress} ->> 'bootId'`;

/**
 * The address of the published gateway process of this runtime; null when no process is published, or its address is not
 * recorded yet. An address of an earlier process is never answered: its port may be another instance's by now.
 */
export async function findGatewayAddress(
  em: EntityManager,
  runtimeId: string,
): Promise<Pick<GatewayAddress, 'wsUrl' | 'peer'> | null> {
  const row = await db(em)
    .selectFrom('Instance')
    .select('gatewayAddress')
    .where('runtimeId', '=', runtimeId)
    .where('bootId', 'is not', null)
    .where((eb) => eb(ADDRESSED_PROCESS, '=', eb.ref('bootId')))
    .executeTakeFirst();
  return row ? addressRow.parse(row.gatewayAddress) : null;
}

/** Writes down where this gateway process listens, if it is still the published one. Repeatable. */
export async function noteGatewayAddress(em: EntityManager, instanceId: string, address: GatewayAddress): Promise<void> {
  const { bootId, wsUrl, peer } = address;
  await db(em)
    .updateTable('Instance')
    .set({ gatewayAddress: sql<GatewayAddress>`${JSON.stringify({ bootId, wsUrl, peer })}::jsonb` })
    .where('id', '=', instanceId)
    .where('bootId', '=', bootId)
    .execute();
}

export interface UnaddressedGateway {
  instanceId: string;
  runtimeId: string;
  bootId: string;
}

/** Published gateways without a recorded address, at most `limit`: a worker of an earlier version started them. */
export async function findUnaddressedGateways(em: EntityManager, limit: number): Promise<UnaddressedGateway[]> {
  return db(em)
    .selectFrom('Instance')
    .select(['id as instanceId', 'runtimeId', 'bootId'])
    .$narrowType<{ bootId: NotNull }>()
    .where('bootId', 'is not', null)
    .where((eb) => eb(ADDRESSED_PROCESS, 'is distinct from', eb.ref('bootId')))
    .orderBy('id')
    .limit(limit)
    .execute();
}
