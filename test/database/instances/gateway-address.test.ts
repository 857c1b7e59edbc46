import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findGatewayAddress, findUnaddressedGateways, noteGatewayAddress } from '../../../database/instances/gateway-address.ts';
import { newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const em = () => database.orm.em.fork();
const addressOf = (bootId: string) => ({ bootId, wsUrl: 'ws://127.0.0.1:4711', peer: 'remote' as const });
const publish = (instanceId: string, bootId: string | null) =>
  em().execute('update instances set boot_id = ? where id = ?', [bootId, instanceId]);

test('a gateway is found where it was written down to listen, for as long as it is the published one', async () => {
  const { instanceId, runtimeId } = await newInstance(database.orm, { bootId: 'boot_1' });
  expect(await findGatewayAddress(em(), runtimeId)).toBeNull();
  await noteGatewayAddress(em(), instanceId, addressOf('boot_1'));
  expect(await findGatewayAddress(em(), runtimeId)).toEqual({ wsUrl: 'ws://127.0.0.1:4711', peer: 'remote' });
  // Its port may be that of another instance by now.
  await publish(instanceId, null);
  expect(await findGatewayAddress(em(), runtimeId)).toBeNull();
  await publish(instanceId, 'boot_2');
  expect(await findGatewayAddress(em(), runtimeId)).toBeNull();
  expect(await findGatewayAddress(em(), 'run_unknown')).toBeNull();
});

test('the address of a gateway that another one has followed is not written down', async () => {
  const { instanceId, runtimeId } = await newInstance(database.orm, { bootId: 'boot_2' });
  await noteGatewayAddress(em(), instanceId, addressOf('boot_2'));
  await noteGatewayAddress(em(), instanceId, { ...addressOf('boot_1'), wsUrl: 'ws://127.0.0.1:1' });
  expect(await findGatewayAddress(em(), runtimeId)).toMatchObject({ wsUrl: 'ws://127.0.0.1:4711' });
});

test('published gateways whose address is missing or of an earlier process are found, as many as are asked for', async () => {
  await em().execute('update instances set boot_id = null');
  const made = await Promise.all(['one', 'two', 'known', null].map((bootId) => newInstance(database.orm, { bootId })));
  const [one, two, known] = made.map(({ instanceId }) => instanceId);
  await noteGatewayAddress(em(), known ?? '', addressOf('known'));
  await em().execute(`update instances set gateway_address = '{"bootId": "before"}' where id = ?`, [two]);
  const found = await findUnaddressedGateways(em(), 3);
  expect(new Set(found.map(({ instanceId }) => instanceId))).toEqual(new Set([one, two]));
  expect(found.find(({ instanceId }) => instanceId === one)).toMatchObject({ bootId: 'one', runtimeId: made[0]?.runtimeId });
  expect(await findUnaddressedGateways(em(), 1)).toHaveLength(1);
});
