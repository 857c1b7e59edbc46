import { createHash } from 'node:crypto';
import { z } from 'zod';
import { EngineError, orElse } from './engine.ts';
import type { Engine } from './engine.ts';
import { RUNTIME_LABEL } from './names.ts';
import type { Names } from './names.ts';

const networkSchema = z.looseObject({
  Id: z.string(),
  Name: z.string(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Options: z.record(z.string(), z.string()).nullish(),
  IPAM: z.looseObject({ Config: z.array(z.looseObject({ Subnet: z.string().optional() })).nullish() }).nullish(),
});

export type Network = z.infer<typeof networkSchema>;

/** There is no room for another network. The message says what to do. */
export class SubnetError extends Error {}

const BRIDGE_NAME = 'com.docker.network.bridge.name';
/** Network, gateway, container, broadcast. */
const SUBNET_BITS = 30;
const SUBNET_SIZE = 2 ** (32 - SUBNET_BITS);

/** The networks of the engine that carry all of these labels; all there are when none is named. */
export async function listNetworks(engine: Engine, labels: readonly string[]): Promise<Network[]> {
  const query = { filters: JSON.stringify({ label: labels }) };
  return z.array(networkSchema).parse(await engine.call('GET', '/networks', { query }));
}

/**
 * Makes the one network of a runtime: a separate bridge with room for one container, on an interface that the walls
 * know. What has its name and is not as it should be (the engine allows several of one name) is replaced.
 */
export async function ensureNetwork(engine: Engine, names: Names, runtimeId: string, pool: string): Promise<void> {
  const name = names.of(runtimeId);
  const all = await listNetworks(engine, []);
  const same = all.filter((network) => network.Name === name);
  const others = all.filter((network) => network.Name !== name);
  const bridge = names.bridgeOf(runtimeId, new Set(others.flatMap(({ Options }) => Options?.[BRIDGE_NAME] ?? [])));
  const [only] = same;
  if (same.length === 1 && only?.Options?.[BRIDGE_NAME] === bridge && only.Labels?.[RUNTIME_LABEL] === runtimeId) return;
  for (const { Id } of same) await removeNetworkById(engine, Id);
  const taken = new Set(all.flatMap(({ IPAM }) => IPAM?.Config?.map(({ Subnet }) => Subnet) ?? []));
  for (const subnet of subnetsOf(pool, runtimeId)) {
    if (taken.has(subnet)) continue;
    if (await create(engine, { name, bridge, labels: names.labelsOf(runtimeId), subnet })) return;
  }
  throw new SubnetError(`No subnet of ${pool} is free for another instance. Name a larger range in INSTANCE_SUBNETS.`);
}

/** Removes every network of this runtime. Its container must be gone. */
export async function removeNetworks(engine: Engine, names: Names, runtimeId: string): Promise<void> {
  const networks = await listNetworks(engine, []);
  for (const { Id, Name } of networks) if (Name === names.of(runtimeId)) await removeNetworkById(engine, Id);
}

const endpoints = z.looseObject({ Containers: z.record(z.string(), z.unknown()).nullish() });

async function removeNetworkById(engine: Engine, id: string): Promise<void> {
  const found = await engine.find(`/networks/${id}`);
  // A container of an earlier run, or one that a user of the engine connected, may still be attached.
  for (const container of Object.keys(endpoints.parse(found ?? {}).Containers ?? {})) {
    const body = { Container: container, Force: true };
    await orElse(404, null, () => engine.call('POST', `/networks/${id}/disconnect`, { body }));
  }
  await orElse(404, null, () => engine.call('DELETE', `/networks/${id}`));
}

interface NewNetwork {
  name: string;
  bridge: string;
  labels: Record<string, string>;
  subnet: string;
}

/** False when the engine has given this subnet to something else. */
async function create(engine: Engine, { name, bridge, labels, subnet }: NewNetwork): Promise<boolean> {
  const body = {
    Name: name,
    Driver: 'bridge',
    CheckDuplicate: true,
    Internal: false,
    EnableIPv6: false,
    IPAM: { Config: [{ Subnet: subnet }] },
    Labels: labels,
    Options: {
      [BRIDGE_NAME]: bridge,
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
    },
  };
  try {
    await engine.call('POST', '/networks/create', { body });
    return true;
  } catch (error) {
    if (error instanceof EngineError && /overlap/i.test(error.message)) return false;
    throw error;
  }
}

/** Every subnet of the pool, beginning at a place of the runtime's own, so that two at once seldom want the same. */
export function* subnetsOf(pool: string, runtimeId: string): Generator<string> {
  const [address = '', bits = ''] = pool.split('/');
  const first = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const count = 2 ** (SUBNET_BITS - Number(bits));
  const start = createHash('sha256').update(runtimeId).digest().readUInt32BE(0) % count;
  for (let n = 0; n < count; n += 1) {
    const base = first + ((start + n) % count) * SUBNET_SIZE;
    const parts = [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256);
    yield `${parts.join('.')}/${SUBNET_BITS}`;
  }
}
