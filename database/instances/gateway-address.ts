import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { GatewayAddress } from '../entities/instance.ts';
import { query, run, sql } from '../sql.ts';

const addressRow = z.object({ wsUrl: z.string(), peer: z.enum(['loopback', 'remote']) });

/**
 * The address of the published gateway process of this runtime; null when no process is published, or its address is not
 * recorded yet. An address of an earlier process is never answered: its port may be another instance's by now.
 */
export async function findGatewayAddress(
  em: EntityManager,
  runtimeId: string,
): Promise<Pick<GatewayAddress, 'wsUrl' | 'peer'> | null> {
  const [row] = await query<{ address: unknown }>(
    em,
    sql`select gateway_address as address from instances
      where runtime_id = ${runtimeId} and boot_id is not null and gateway_address ->> 'bootId' = boot_id`,
  );
  return row ? addressRow.parse(row.address) : null;
}

/** Writes down where this gateway process listens, if it is still the published one. Repeatable. */
export async function noteGatewayAddress(em: EntityManager, instanceId: string, address: GatewayAddress): Promise<void> {
  const { bootId, wsUrl, peer } = address;
  await run(
    em,
    sql`update instances set gateway_address = ${JSON.stringify({ bootId, wsUrl, peer })}::jsonb
      where id = ${instanceId} and boot_id = ${bootId}`,
  );
}

export interface UnaddressedGateway {
  instanceId: string;
  runtimeId: string;
  bootId: string;
}

/** Published gateways without a recorded address, at most `limit`: a worker of an earlier version started them. */
export async function findUnaddressedGateways(em: EntityManager, limit: number): Promise<UnaddressedGateway[]> {
  return query<UnaddressedGateway>(
    em,
    sql`select id as "instanceId", runtime_id as "runtimeId", boot_id as "bootId" from instances
      where boot_id is not null and gateway_address ->> 'bootId' is distinct from boot_id
      order by id limit ${limit}`,
  );
}
