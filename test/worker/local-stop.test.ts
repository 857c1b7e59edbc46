import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../database/orm.ts';
import { systemClock } from '../../lib/async/clock.ts';
import { createLog } from '../../lib/log.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { stopLocally } from '../../worker/local-stop.ts';
import { eventually } from '../support/eventually.ts';
import { GATEWAY_MASTER_KEY } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { newAgent, newTurn } from '../factories.ts';
import { instanceState, intervalsOf, newPaidInstance } from './instance-rows.ts';

const log = createLog('test', 'silent');

let database: TestDatabase;
let orm: MikroORM;
let gateway: GatewayUnderTest;

beforeAll(async () => {
  [database, { gateway }] = await Promise.all([createTestDatabase(), startScripted()]);
  orm = await createOrm(database.url);
});

afterAll(async () => {
  await gateway.close();
  await orm.close();
  await database.drop();
});

test('a running turn gets its time, takes no other in meanwhile, and goes on at the next start without a death', async () => {
  const { instanceId, accountId } = await newPaidInstance(orm, {
    ...{ runtimeId: gateway.runtimeId, bootId: 'boot_1', ranForSeconds: 60 },
  });
  const agent = await newAgent(orm, { instance: instanceId, account: accountId });
  const { messageId } = await newTurn(orm, agent, { owner: 'proc_api', bootId: 'boot_1', attempt: 1 });
  const connections = createGatewayConnections({ endpoints: gateway.driver, masterKeys: [GATEWAY_MASTER_KEY], log });

  const stopped = stopLocally({ orm, driver: gateway.driver, connections, clock: systemClock, log, turnsMs: 10_000 });
  await eventually(async () => {
    const state = await instanceState(orm, instanceId);
    expect(state).toMatchObject({ bootId: 'boot_1', status: 'running', transitionKind: 'restarting' });
  });
  expect((await gateway.driver.inspect(gateway.runtimeId)).status).toBe('running');
  await stopped;

  expect((await gateway.driver.inspect(gateway.runtimeId)).status).toBe('exited');
  expect(await instanceState(orm, instanceId)).toMatchObject({
    bootId: null,
    desiredStatus: 'running',
    killFirst: false,
    deaths: 0,
  });
  expect((await intervalsOf(orm, instanceId))[0]?.endedAt).not.toBeNull();
  const [turn] = await orm.em
    .fork()
    .execute('select status, owner, boot_id as "bootId", attempt, deaths from messages where id = ?', [messageId]);
  expect(turn).toEqual({ status: 'pending', owner: 'shard', bootId: null, attempt: 1, deaths: 0 });
});
