import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createStartPace } from '../../activities/start-pace.ts';
import { GatewayConnectError } from '../../runtime/gateway/gateway-errors.ts';
import { eventually } from '../support/eventually.ts';
import { controlScripted, SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, maxRunning: 8 });
  reconciler.machine.isStarved = true;
});
afterAll(() => reconciler?.close());

test('on a starved machine a start goes on with the gateway that did not let us in, and counts no death', async () => {
  const { deps, driver } = reconciler;
  const { instanceId, runtimeId } = await reconciler.newInstance();
  const letIn = deps.connections.get;
  const spawnedAt = new Set<number | undefined>();
  let refusals = 0;
  deps.connections.get = async (...of) => {
    spawnedAt.add((await driver.inspect(runtimeId)).startedAt?.getTime());
    refusals += 1;
    if (refusals > 2) return letIn(...of);
    throw new GatewayConnectError('The gateway did not let us in within 10000 ms', { retryable: true });
  };
  await reconciler.power(instanceId, 'start');
  await reconciler.reconcile(instanceId);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'running', transition: null, reason: null, deaths: 0 });
  deps.connections.get = letIn;
  expect(refusals).toBeGreaterThan(2);
  expect(spawnedAt.size).toBe(1);
});

test('on a starved machine one of two starts says that it is queued until the other one’s gateway is ready, then both run', async () => {
  const instances = [await reconciler.newInstance(), await reconciler.newInstance()];
  const statuses = () => Promise.all(instances.map(({ instanceId }) => reconciler.statusOf(instanceId)));
  for (const { instanceId, runtimeId } of instances) {
    const { stateDir } = reconciler.driver.paths(runtimeId);
    controlScripted(stateDir).misbehave({ kind: 'unready', failing: ['held'] });
    await reconciler.power(instanceId, 'start');
  }
  const runs = await Promise.all(instances.map(({ instanceId }) => reconciler.wake(instanceId)));
  await eventually(async () => {
    const gateways = await Promise.all(instances.map(({ runtimeId }) => reconciler.driver.inspect(runtimeId)));
    const queued = (await statuses()).findIndex(({ step }) => step === 'queued');
    expect(gateways[queued]?.status).not.toBe('running');
    expect(queued).toBeGreaterThanOrEqual(0);
  });
  for (const { runtimeId } of instances) controlScripted(reconciler.driver.paths(runtimeId).stateDir).behave();
  await Promise.all(runs.map((run) => reconciler.ended(run)));
  expect(await statuses()).toMatchObject([
    { status: 'running', transition: null, deaths: 0 },
    { status: 'running', transition: null, deaths: 0 },
  ]);
});

test('starts whose gateways do not become ready keep no other account from starting', async () => {
  const { deps } = reconciler;
  const before = deps.startPace;
  // The machine is starved, so that these starts wait for minutes; one at a time has its turn all the same.
  const load = { isStarved: () => false };
  deps.startPace = createStartPace({ load, monotonicMs: deps.monotonicMs, cores: 1, turnMs: 1_000 });
  const hanging = [await reconciler.newInstance(), await reconciler.newInstance()];
  for (const { instanceId, runtimeId } of hanging) {
    const { stateDir } = reconciler.driver.paths(runtimeId);
    controlScripted(stateDir).misbehave({ kind: 'start-late', afterMs: 20 * 60_000 });
    await reconciler.power(instanceId, 'start');
    await reconciler.wake(instanceId);
  }
  for (const { instanceId } of hanging)
    await eventually(async () =>
      expect(await reconciler.statusOf(instanceId)).toMatchObject({
        step: expect.stringMatching(/^waiting_for_(slow_)?gateway$/),
      }),
    );
  const { instanceId } = await reconciler.newInstance();
  await reconciler.power(instanceId, 'start');
  await reconciler.reconcile(instanceId);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'running' });
  for (const hangs of hanging) {
    expect(await reconciler.statusOf(hangs.instanceId)).toMatchObject({ status: 'provisioning', deaths: 0 });
    await reconciler.power(hangs.instanceId, 'stop');
    await reconciler.reconcile(hangs.instanceId);
  }
  deps.startPace = before;
});
