import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { fallAsleep } from '../../database/instances/sleep/fall-asleep.ts';
import { wakeSleeper } from '../../database/instances/sleep/wake-sleeper.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { SLEEP_PACE } from '../../domain/sleep.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { requireSwap } from '../support/swap-under-test.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { attempt, surviveKills } from './kill-points.ts';
import type { StepName } from './kill-points.ts';

/** The steps of a sleeper that is suspended, killed before and after each of their calls of the runtime. */
let reconciler: ReconcilerUnderTest;
let instance: InstanceWithAgent;

beforeAll(async () => {
  await requireSwap();
  const program = async () => SCRIPTED_GATEWAY;
  reconciler = await startReconciler({ program, withWorkers: false, maxRunning: 16, suspend: 'auto' });
});
beforeEach(async () => {
  instance = await reconciler.newInstance();
  await reconciler.power(instance.instanceId, 'start');
  await run('startInstance');
  const em = reconciler.orm.em.fork();
  await em.execute('update instances set sleep_after_ms = 0 where id = ?', [instance.instanceId], 'run');
  const { instanceId } = instance;
  const isAsleep = await runTransaction(reconciler.orm.em, (inner) => fallAsleep(inner, { instanceId, pace: SLEEP_PACE }));
  if (!isAsleep) throw new Error('It does not fall asleep');
});
afterAll(() => reconciler.close());

const row = () => reconciler.row(instance.instanceId);
const runtime = async () => (await reconciler.driver.inspect(instance.runtimeId)).status;
const input = async () => ({ instanceId: instance.instanceId, powerGeneration: (await row()).powerGeneration });
const wake = () => runTransaction(reconciler.orm.em, (em) => wakeSleeper(em, instance.instanceId));

async function run(step: StepName): Promise<void> {
  const of = await input();
  await attempt(() => reconciler.activities[step](of));
}

async function survive(step: StepName): Promise<void> {
  expect(await surviveKills({ deps: reconciler.deps, step, input: await input() })).toBeGreaterThan(0);
}

/** The same driver on a machine that has none. */
function withoutSwap(driver: RuntimeDriver): RuntimeDriver {
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'suspend') return async () => 'no_swap';
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('falling asleep, and waking: the gateway is the same process, and its tokens are', async () => {
  const before = { ...(await row()), startedAt: (await reconciler.driver.inspect(instance.runtimeId)).startedAt };
  await survive('sleepInstance');
  expect(await row()).toMatchObject({ status: 'stopped', sleepState: 'asleep', suspendedAt: expect.any(Date), hasSlot: false });
  expect(await runtime()).toBe('suspended');
  await wake();
  await survive('startInstance');
  const { gatewayEpoch } = before;
  expect(await row()).toMatchObject({ status: 'running', sleepState: 'awake', suspendedAt: null, gatewayEpoch, deaths: [] });
  expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'running', startedAt: before.startedAt });
});

test.each(['stop', 'destroy'] as const)('a %s of one that is suspended leaves no process', async (action) => {
  await run('sleepInstance');
  await reconciler.power(instance.instanceId, action);
  await survive(action === 'stop' ? 'stopInstance' : 'destroyInstance');
  expect(await row()).toMatchObject({ suspendedAt: null, gatewayEpoch: 0 });
  expect(await runtime()).toBe(action === 'stop' ? 'exited' : 'absent');
});

test('where the machine has no room for it, or it may not be, the gateway is stopped', async () => {
  const deps = { ...reconciler.deps, driver: withoutSwap(reconciler.driver) };
  await surviveKills({ deps, step: 'sleepInstance', input: await input() });
  expect(await row()).toMatchObject({
    sleepState: 'asleep',
    suspendedAt: null,
    gatewayEpoch: 0,
    hasSlot: false,
    killFirst: false,
  });
  expect(await runtime()).toBe('exited');
});
