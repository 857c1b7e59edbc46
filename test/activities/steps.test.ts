import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { findGatewayAddress } from '../../database/instances/gateway-address.ts';
import { bump, changeContent } from '../workflows/content-changes.ts';
import { attempt, surviveKills } from './kill-points.ts';
import type { StepName } from './kill-points.ts';

/** Every step, killed before and after each of its calls of the runtime, and then once more. */
let reconciler: ReconcilerUnderTest;
let instance: InstanceWithAgent;

beforeAll(async () => {
  reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, withWorkers: false, maxRunning: 16 });
});
beforeEach(async () => {
  instance = await reconciler.newInstance();
});
afterAll(() => reconciler.close());

const status = () => reconciler.statusOf(instance.instanceId);

async function start(): Promise<void> {
  await reconciler.power(instance.instanceId, 'start');
  const { powerGeneration } = await reconciler.row(instance.instanceId);
  await attempt(() => reconciler.activities.startInstance({ instanceId: instance.instanceId, powerGeneration }));
}

async function survive(step: StepName): Promise<void> {
  const { powerGeneration } = await reconciler.row(instance.instanceId);
  const input = { instanceId: instance.instanceId, powerGeneration };
  expect(await surviveKills({ deps: reconciler.deps, step, input })).toBeGreaterThan(0);
  const before = await everythingOf();
  await attempt(() => reconciler.activities[step](input));
  expect(await everythingOf()).toEqual(before);
}

/** The rows of the instance, all columns. */
async function everythingOf(): Promise<unknown> {
  const em = reconciler.orm.em.fork();
  const { instanceId } = instance;
  return {
    instance: await em.execute('select * from instances where id = ?', [instanceId]),
    intervals: await em.execute('select * from runtime_intervals where instance_id = ? order by started_at', [instanceId]),
    agents: await em.execute('select * from agents where instance_id = ? order by id', [instanceId]),
    files: await em.execute(
      'select agent_files.* from agent_files join agents on agents.id = agent_id where instance_id = ? order by agent_id, path',
      [instanceId],
    ),
  };
}

test('a start', async () => {
  await reconciler.power(instance.instanceId, 'start');
  await survive('startInstance');
  expect(await status()).toMatchObject({ status: 'running', transition: null, openIntervals: 1, deaths: 0 });
});

test('new content', async () => {
  await start();
  await changeContent(reconciler, instance);
  await survive('applyContent');
  expect(await status()).toMatchObject({ status: 'running', transition: null, openIntervals: 1 });
});

test('a restart', async () => {
  await start();
  const before = await status();
  await bump(reconciler, instance.instanceId, 'restart_generation');
  await survive('restartInstance');
  expect(await status()).toMatchObject({ status: 'running', transition: 'restarting', bootId: null, openIntervals: 0 });
  await survive('startInstance');
  const after = await status();
  expect(after).toMatchObject({ status: 'running', transition: null, openIntervals: 1, deaths: 0 });
  expect(after.bootId).not.toBe(before.bootId);
});

test('a step that was decided on before something newer was accepted does nothing', async () => {
  await start();
  const { powerGeneration } = await reconciler.row(instance.instanceId);
  await reconciler.power(instance.instanceId, 'stop');
  const before = await everythingOf();
  const stale = attempt(() => reconciler.activities.applyContent({ instanceId: instance.instanceId, powerGeneration }));
  await expect(stale).rejects.toMatchObject({ type: 'stale_attempt', nonRetryable: true, stack: '' });
  expect(await everythingOf()).toEqual(before);
});

test('a stop', async () => {
  await start();
  await reconciler.power(instance.instanceId, 'stop');
  await survive('stopInstance');
  expect(await status()).toMatchObject({ status: 'stopped', transition: null, bootId: null, openIntervals: 0, hasSlot: false });
  expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'exited' });
});

test('a delete', async () => {
  await start();
  await reconciler.power(instance.instanceId, 'destroy');
  await survive('destroyInstance');
  expect(await status()).toMatchObject({ status: 'destroying', isGone: true, bootId: null, openIntervals: 0 });
  expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'absent' });
});

test('a start writes down where its gateway listens, and a sweep does for one that an earlier version has started', async () => {
  await start();
  const { instanceId, runtimeId } = instance;
  const em = () => reconciler.orm.em.fork();
  const endpoint = await reconciler.driver.endpoint(runtimeId);
  const address = { wsUrl: endpoint?.wsUrl, peer: 'loopback' };
  expect(await findGatewayAddress(em(), runtimeId)).toEqual(address);
  // An earlier version leaves what stood there before.
  await em().execute(`update instances set gateway_address = '{"bootId": "boot_before"}' where id = ?`, [instanceId]);
  expect(await findGatewayAddress(em(), runtimeId)).toBeNull();
  await attempt(() => reconciler.activities.sweepDrift());
  expect(await findGatewayAddress(em(), runtimeId)).toEqual(address);
});
