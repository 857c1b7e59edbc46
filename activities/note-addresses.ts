import { findUnaddressedGateways, noteGatewayAddress } from '../database/instances/gateway-address.ts';
import type { StepDeps } from './steps/step-deps.ts';

/** What is more is found by the next sweep. */
const LIMIT = 500;

/**
 * Writes down where gateways listen that a worker of an earlier version has started: the API finds them by that alone.
 * Answers how many.
 */
export async function noteAddresses({ orm, driver }: Pick<StepDeps, 'orm' | 'driver'>): Promise<number> {
  let count = 0;
  for (const { instanceId, runtimeId, bootId } of await findUnaddressedGateways(orm.em.fork(), LIMIT)) {
    const endpoint = await driver.endpoint(runtimeId);
    if (!endpoint) continue;
    await noteGatewayAddress(orm.em.fork(), instanceId, { bootId, wsUrl: endpoint.wsUrl, peer: endpoint.peer });
    count += 1;
  }
  return count;
}
