import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { freeSlot } from '../../database/instances/slots.ts';
import type { StepFailure } from '../../domain/failures.ts';
import { dyingGateway, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { attempt } from './kill-points.ts';

const MAX_RUNNING = 2;
let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  // No gateway is ever spawned here.
  reconciler = await startReconciler({ withWorkers: false, program: dyingGateway(1), maxRunning: MAX_RUNNING });
});
afterAll(() => reconciler.close());

async function wanted(): Promise<string> {
  const { instanceId } = await reconciler.newInstance();
  await reconciler.power(instanceId, 'start');
  return instanceId;
}

const stepOf = async (instanceId: string) => (await attempt(() => reconciler.activities.readTarget({ instanceId }))).step;

async function awake(): Promise<string[]> {
  const rows = await reconciler.orm.em.fork().execute<{ id: string }[]>('delete from outbox returning subject_id as id');
  return rows.map(({ id }) => id).toSorted();
}

const free = (instanceId: string) =>
  reconciler.orm.em.fork().transactional((em) => freeSlot(em, instanceId, reconciler.deps.config.MAX_RUNNING));

async function fail(instanceId: string, failure: StepFailure, epoch: number | null, isLast = false): Promise<void> {
  const { powerGeneration, contentGeneration } = await reconciler.row(instanceId);
  const failed = { instanceId, powerGeneration, contentGeneration, step: 'start', failure, epoch, isLast } as const;
  await attempt(() => reconciler.activities.recordStepFailure(failed));
}

test('when the machine is full a start waits, in order, and whoever frees a slot wakes the one that waited longest', async () => {
  const [first, second, third, fourth] = [await wanted(), await wanted(), await wanted(), await wanted()];
  expect([await stepOf(first), await stepOf(second), await stepOf(third), await stepOf(fourth)]).toEqual([
    'start',
    'start',
    'none',
    'none',
  ]);
  expect(await reconciler.statusOf(third)).toMatchObject({
    isQueued: true,
    hasSlot: false,
    step: 'queued',
    reason: 'no_capacity',
  });
  await awake();

  await free(first);
  expect(await awake()).toEqual([third]);
  expect(await stepOf(fourth)).toBe('none');
  expect(await stepOf(third)).toBe('start');
  expect(await reconciler.statusOf(third)).toMatchObject({ isQueued: false, hasSlot: true });

  // The one that is next does not want it any more: its stop lets the others go on.
  await free(second);
  expect(await awake()).toEqual([fourth]);
  await reconciler.power(fourth, 'stop');
  const fifth = await wanted();
  expect(await stepOf(fifth)).toBe('start');
  for (const instanceId of [third, fifth]) await free(instanceId);
  await awake();
});

test('of many starts at once no more get a slot than there are', async () => {
  const instanceIds = await Promise.all(Array.from({ length: 6 }, wanted));
  const steps = await Promise.all(instanceIds.map(stepOf));
  expect(steps.filter((step) => step === 'start')).toHaveLength(MAX_RUNNING);
  for (const instanceId of instanceIds) await reconciler.power(instanceId, 'destroy');
  for (const instanceId of instanceIds) await free(instanceId);
  await awake();
});

test('a start that failed counts as one death however often its record is repeated, and waits', async () => {
  const instanceId = await wanted();
  const { epoch } = await reconciler.row(instanceId);
  for (const _ of [1, 2, 3]) await fail(instanceId, 'gateway_died', epoch);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ deaths: 1, status: 'provisioning', reason: 'gateway_died' });
  const { epoch: next } = await reconciler.row(instanceId);
  await fail(instanceId, 'gateway_died', next);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ deaths: 2 });
  // Its pause is a second, which may be over by now.
  const paused = await reconciler.orm.em.fork().execute(
    `update instances set start_not_before = start_not_before + interval '1 hour'
      where id = ? and start_not_before > reason_at returning id`,
    [instanceId],
  );
  expect(paused).toHaveLength(1);
  expect(await stepOf(instanceId)).toBe('wait');
});

test('five deaths end in error, which says why, holds no slot, and is what a new start tries again from', async () => {
  const instanceId = await wanted();
  await stepOf(instanceId);
  for (let death = 1; death <= 5; death += 1)
    await fail(instanceId, 'gateway_not_ready', (await reconciler.row(instanceId)).epoch);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({
    status: 'error',
    reason: 'gateway_not_ready',
    transition: null,
    hasSlot: false,
    openIntervals: 0,
  });
  expect(await stepOf(instanceId)).toBe('none');
  await reconciler.power(instanceId, 'start');
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'provisioning', reason: 'start_paused', deaths: 0 });
  expect(await stepOf(instanceId)).toBe('wait');
  await free(instanceId);
});

test('a configuration that cannot work ends in error at once', async () => {
  const instanceId = await wanted();
  await fail(instanceId, 'gateway_config_refused', (await reconciler.row(instanceId)).epoch);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'error', reason: 'config_refused' });
});

test('a failure of a step that was superseded changes nothing', async () => {
  const instanceId = await wanted();
  const { powerGeneration, contentGeneration, epoch } = await reconciler.row(instanceId);
  await reconciler.power(instanceId, 'stop');
  const before = await reconciler.statusOf(instanceId);
  const failed = {
    instanceId,
    powerGeneration,
    contentGeneration,
    step: 'start',
    failure: 'gateway_died',
    epoch,
    isLast: true,
  } as const;
  await attempt(() => reconciler.activities.recordStepFailure(failed));
  expect(await reconciler.statusOf(instanceId)).toEqual(before);
});
