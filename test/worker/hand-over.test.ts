import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { handOver } from '../../activities/pool/hand-over.ts';
import { run, sql } from '../../database/sql.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { newInstance } from '../factories.ts';
import type { NewInstance } from '../factories.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { niceOfSession } from '../support/nice-of-session.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { keepTestPool, membersOf, readyMembers } from './pool-under-test.ts';

let reconciler: ReconcilerUnderTest;
const starts: { isClaimed: boolean }[] = [];

beforeAll(async () => {
  reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, node: 'here', maxRunning: 20 });
});
afterAll(() => reconciler.close());
afterEach(async () => {
  await (await keepTestPool(reconciler, { size: 0 })).empty();
  reconciler.deps.pool = null;
  starts.splice(0);
});

const within = () => AbortSignal.timeout(PATIENCE_MS);

/** As the API makes one, that wants to run and has no agents. */
async function newcomer(): Promise<NewInstance> {
  const instance = await newInstance(reconciler.orm, { desiredStatus: 'stopped', status: 'stopped', shard: 0 });
  await reconciler.power(instance.instanceId, 'start');
  return instance;
}

/** The pool of one gateway, which is ready and not replaced. */
async function keepOne({ givesWay } = { givesWay: false }): Promise<string> {
  const pool = await keepTestPool(reconciler, { size: 1, givesWay, onStart: (start) => void starts.push(start) });
  const [member] = await readyMembers(reconciler, 1);
  await pool.stop();
  return member?.runtimeId ?? '';
}

test('an instance without agents takes a ready gateway at once, and its workflow has nothing left to do', async () => {
  const runtimeId = await keepOne();
  const instance = await newcomer();
  const { instanceId } = instance;
  expect(await handOver(reconciler.deps, instanceId, within())).toBe(true);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({
    status: 'running',
    transition: null,
    openIntervals: 1,
    hasSlot: true,
  });
  expect(await reconciler.row(instanceId)).toMatchObject({ runtimeId, gatewayEpoch: 1, epoch: 2 });
  expect(starts).toEqual([{ isClaimed: true }]);
  // Of a database from before the claim none gives it away.
  expect(await reconciler.driver.fenceOf(runtimeId)).toBe(2);
  const before = await reconciler.driver.inspect(runtimeId);
  await reconciler.reconcile(instanceId);
  expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running', epoch: 2 });
  expect(await reconciler.driver.inspect(runtimeId)).toEqual(before);
  await reconciler.power(instanceId, 'destroy');
  await reconciler.reconcile(instanceId);
});

test('a gateway has its usual share of CPU time before an instance can take it', async () => {
  const runtimeId = await keepOne({ givesWay: true });
  const record = await readRecord(layoutOf(reconciler.dataDir, runtimeId));
  expect([null, '5']).toContain(await niceOfSession(record?.pid ?? 0));
});

test('of five instances that take the only ready gateway at once one gets it, and nothing has happened to the others', async () => {
  const runtimeId = await keepOne();
  const instances = await Promise.all(Array.from({ length: 5 }, () => newcomer()));
  const done = await Promise.all(instances.map(({ instanceId }) => handOver(reconciler.deps, instanceId, within())));
  expect(done.filter(Boolean)).toHaveLength(1);
  for (const [index, { instanceId }] of instances.entries()) {
    const { epoch, hasSlot, status, runtimeId: its } = await reconciler.row(instanceId);
    const expected = done[index]
      ? { epoch: 2, hasSlot: true, status: 'running' }
      : { epoch: 0, hasSlot: false, status: 'provisioning' };
    expect({ epoch, hasSlot, status }).toEqual(expected);
    expect(its === runtimeId).toBe(done[index]);
  }
  for (const { instanceId } of instances) await reconciler.power(instanceId, 'destroy');
  for (const { instanceId } of instances) await reconciler.reconcile(instanceId);
});

test('a worker that dies between the claim and the end of a hand-over leaves the gateway to the workflow', async () => {
  const runtimeId = await keepOne();
  const { instanceId } = await newcomer();
  const { connections } = reconciler.deps;
  const dying = { ...connections, get: () => Promise.reject(new Error('it died here')) };
  await expect(handOver({ ...reconciler.deps, connections: dying }, instanceId, within())).rejects.toThrow('it died here');
  expect(await reconciler.statusOf(instanceId)).toMatchObject({
    status: 'provisioning',
    transition: 'starting',
    openIntervals: 0,
  });
  await reconciler.reconcile(instanceId);
  expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running', runtimeId, gatewayEpoch: 1 });
  const running = (await reconciler.driver.list()).filter(({ status }) => status === 'running');
  expect(running.map((gateway) => gateway.runtimeId)).toEqual([runtimeId]);
  await reconciler.power(instanceId, 'destroy');
  await reconciler.reconcile(instanceId);
});

test('an instance without a slot, one that is to be stopped, and one that was started before take no gateway', async () => {
  await keepOne();
  const [slotless, stopped, started] = [await newcomer(), await newcomer(), await newcomer()];
  await run(reconciler.orm.em.fork(), sql`update nodes set max_running = 0`);
  expect(await handOver(reconciler.deps, slotless.instanceId, within())).toBe(false);
  await run(reconciler.orm.em.fork(), sql`update nodes set max_running = 20`);
  expect(await reconciler.statusOf(slotless.instanceId)).toMatchObject({ hasSlot: false, isQueued: false, reason: null });
  await reconciler.power(stopped.instanceId, 'stop');
  expect(await handOver(reconciler.deps, stopped.instanceId, within())).toBe(false);
  await run(reconciler.orm.em.fork(), sql`update instances set epoch = 1 where id = ${started.instanceId}`);
  expect(await handOver(reconciler.deps, started.instanceId, within())).toBe(false);
  expect(await membersOf(reconciler)).toEqual([expect.objectContaining({ state: 'ready' })]);
  for (const { instanceId } of [slotless, stopped, started]) {
    await reconciler.power(instanceId, 'destroy');
    await reconciler.reconcile(instanceId);
  }
});
