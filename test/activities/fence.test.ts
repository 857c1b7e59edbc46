import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createActivities } from '../../activities/create-activities.ts';
import { StaleEpochError } from '../../runtime/driver.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import type { NewInstance } from '../factories.ts';
import { dyingGateway, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { attempt } from './kill-points.ts';
import { PATIENCE_MS } from '../support/eventually.ts';

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ withWorkers: false, program: dyingGateway(1) });
});
afterAll(() => reconciler.close());

const touch = (runtimeId: string, epoch: number) =>
  reconciler.driver.writeConfig({ runtimeId, renderConfig: () => '{}' }, { epoch, signal: AbortSignal.timeout(PATIENCE_MS) });

/** An instance that is wanted running, and whose runtime was changed under this epoch, which its row does not know. */
async function fencedInstance(fence: number): Promise<NewInstance> {
  const instance = await reconciler.newInstance();
  await touch(instance.runtimeId, fence);
  await reconciler.power(instance.instanceId, 'start');
  return instance;
}

/** From the failure to the next start. */
async function pauseSeconds(instanceId: string): Promise<number | null | undefined> {
  const [row] = await reconciler.orm.em
    .fork()
    .execute<{ seconds: number | null }[]>(
      'select extract(epoch from start_not_before - reason_at)::float8 as seconds from instances where id = ?',
      [instanceId],
    );
  return row?.seconds;
}

async function start({ instanceId }: NewInstance, driver: RuntimeDriver = reconciler.driver): Promise<void> {
  const { powerGeneration } = await reconciler.row(instanceId);
  const { startInstance } = createActivities({ ...reconciler.deps, driver });
  await attempt(() => startInstance({ instanceId, powerGeneration }));
}

test('the first start after a restore of an older database jumps above the fence in one step', async () => {
  const instance = await fencedInstance(5_000_000);
  // It gets as far as the gateway, whose program ends at once.
  await expect(start(instance)).rejects.toMatchObject({ type: 'gateway_died' });
  expect((await reconciler.row(instance.instanceId)).epoch).toBe(5_000_001);
});

test('every kind of step passes a higher fence: a stop and a destroy too', async () => {
  const instance = await fencedInstance(300);
  for (const [action, step] of [
    ['stop', 'stopInstance'],
    ['destroy', 'destroyInstance'],
  ] as const) {
    await touch(instance.runtimeId, (await reconciler.driver.fenceOf(instance.runtimeId)) + 300);
    await reconciler.power(instance.instanceId, action);
    const { powerGeneration } = await reconciler.row(instance.instanceId);
    await attempt(() => reconciler.activities[step]({ instanceId: instance.instanceId, powerGeneration }));
  }
  expect(await reconciler.statusOf(instance.instanceId)).toMatchObject({ isGone: true });
});

test('a start that failed before it began gives up above the fence too', async () => {
  const { instanceId } = await fencedInstance(900);
  const { powerGeneration, contentGeneration } = await reconciler.row(instanceId);
  const failed = {
    instanceId,
    powerGeneration,
    contentGeneration,
    step: 'start',
    failure: 'step_timed_out',
    epoch: null,
  } as const;
  await attempt(() => reconciler.activities.recordStepFailure({ ...failed, isLast: true }));
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'error', reason: 'timed_out' });
});

test('the fence that earlier versions left, which no number exceeds, is passed', async () => {
  const instance = await fencedInstance(1);
  await writeFile(layoutOf(reconciler.dataDir, instance.runtimeId).epochFile, `${Number.MAX_SAFE_INTEGER}\n`);
  await expect(start(instance)).rejects.toMatchObject({ type: 'gateway_died' });
  expect(await reconciler.driver.fenceOf(instance.runtimeId)).toBeLessThan(100);
});

test('an attempt that a newer one of ours has replaced is still refused', async () => {
  const { runtimeId } = await fencedInstance(50);
  await expect(touch(runtimeId, 49)).rejects.toThrow(StaleEpochError);
});

test('a fence that rises under each start is told as the reason, pauses longer each time, and ends in an error', async () => {
  const instance = await fencedInstance(1);
  const { instanceId, runtimeId } = instance;
  const driver = new Proxy(reconciler.driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]): Promise<unknown> => {
        // Another control plane on the same storage.
        if (name === 'replaceSkills') await touch(runtimeId, (await target.fenceOf(runtimeId)) + 1_000);
        return Reflect.apply(value, target, args);
      };
    },
  });
  const pauses: (number | null | undefined)[] = [];
  for (let n = 1; n <= 5; n += 1) {
    await expect(start(instance, driver)).rejects.toMatchObject({ type: 'fenced', nonRetryable: true });
    const { powerGeneration, contentGeneration, epoch } = await reconciler.row(instanceId);
    const failed = { instanceId, powerGeneration, contentGeneration, step: 'start', failure: 'fenced', epoch } as const;
    await attempt(() => reconciler.activities.recordStepFailure({ ...failed, isLast: false }));
    expect(await reconciler.statusOf(instanceId)).toMatchObject({ reason: 'fenced', deaths: n });
    pauses.push(await pauseSeconds(instanceId));
  }
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'error', reason: 'fenced' });
  expect(pauses).toEqual([0, 1, 2, 4, null]);
});
