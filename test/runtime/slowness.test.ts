import { expect, test } from '@jest/globals';
import type { RuntimeActivity } from '../../runtime/driver.ts';
import { createSlownessMeter } from '../../runtime/slowness.ts';

interface World {
  /** What the driver answers; an error when it cannot be asked. */
  activity: RuntimeActivity | null | Error;
  isStarved: boolean;
  now: number;
}

function metered(given: Partial<World> = {}) {
  const world: World = { activity: { cpuMs: 0, isFrozen: false }, isStarved: false, now: 0, ...given };
  const activityOf = async (): Promise<RuntimeActivity | null> => {
    if (world.activity instanceof Error) throw world.activity;
    return world.activity;
  };
  const meter = createSlownessMeter(
    { driver: { activityOf }, load: { isStarved: () => world.isStarved }, monotonicMs: () => world.now },
    'run_1',
  );
  return { world, meter };
}

test('a gateway that used a twentieth of a core since the last reading is busy, with less nothing explains its silence', async () => {
  const { world, meter } = metered({ activity: { cpuMs: 20_000, isFrozen: false } });
  expect(await meter.read()).toBeNull();
  Object.assign(world, { now: 3_000, activity: { cpuMs: 20_149, isFrozen: false } });
  expect(await meter.read()).toBeNull();
  Object.assign(world, { now: 6_000, activity: { cpuMs: 20_299, isFrozen: false } });
  expect(await meter.read()).toBe('busy');
  world.now = 9_000;
  expect(await meter.read()).toBeNull();
});

test('on a starved machine a gateway without CPU time is starved, also when the driver cannot be asked', async () => {
  const { world, meter } = metered({ isStarved: true });
  expect(await meter.read()).toBe('starved');
  world.activity = new Error('the engine is away');
  expect(await meter.read()).toBe('starved');
  world.isStarved = false;
  expect(await meter.read()).toBeNull();
});

test('no load explains the silence of a gateway that was stopped by a signal, or is gone', async () => {
  const { world, meter } = metered({ isStarved: true, activity: { cpuMs: 10, isFrozen: true } });
  expect(await meter.read()).toBeNull();
  world.activity = null;
  expect(await meter.read()).toBeNull();
});

test('a gateway that was started anew between two readings has not worked for them', async () => {
  const { world, meter } = metered({ activity: { cpuMs: 90_000, isFrozen: false } });
  await meter.read();
  Object.assign(world, { now: 3_000, activity: { cpuMs: 1_000, isFrozen: false } });
  expect(await meter.read()).toBeNull();
});
