import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Registry } from 'prom-client';
import { registerWorkerMetrics } from '../../worker/worker-metrics.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { newInstance } from '../factories.ts';

let database: TestOrm;
let orm: MikroORM;

beforeAll(async () => {
  database = await openTestOrm();
  ({ orm } = database);
});

afterAll(() => database.close());

function registered(): Registry {
  const registry = new Registry();
  registerWorkerMetrics(registry, {
    orm,
    temporal: { isUp: async () => true },
    leases: { held: () => null },
    watches: { counts: () => ({ watched: 0, connected: 0, slow: 0 }) },
    backups: { state: () => null },
  });
  return registry;
}

test('sleepers and waking instances are counted, and a sleeper whose gateway does not end is stuck', async () => {
  const registry = registered();
  const asleep = { status: 'stopped', sleepState: 'asleep', gatewayEpoch: 0 } as const;
  await newInstance(orm, asleep);
  await newInstance(orm, { ...asleep, deletedAt: new Date() });
  await newInstance(orm, { status: 'provisioning', sleepState: 'waking' });
  await newInstance(orm, { ...asleep, gatewayEpoch: 1, sleepSince: new Date(Date.now() - 11 * 60_000) });
  const text = await registry.metrics();
  expect(text).toContain('thermidora_instances_sleeping{state="asleep"} 2\n');
  expect(text).toContain('thermidora_instances_sleeping{state="waking"} 1\n');
  expect(text).toContain('thermidora_instances_stuck{in="transition"} 1\n');
  await orm.em.fork().execute('update instances set deleted_at = now()', [], 'run');
});

test('the swap of the machine is counted, and how much of it is free', async () => {
  const text = await registered().metrics();
  const bytesOf = (state: string) =>
    Number(new RegExp(`^thermidora_swap_bytes\\{state="${state}"\\} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(bytesOf('total')).toBe(Number(/^SwapTotal:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1]) * 1024);
  expect(bytesOf('free')).toBeLessThanOrEqual(bytesOf('total'));
});

test('an instance is stuck in error, or in one transition for over ten minutes; one that is gone is not', async () => {
  const registry = registered();
  const change = async (set: string): Promise<void> => {
    const { instanceId } = await newInstance(orm);
    await orm.em.fork().execute(`update instances set ${set} where id = ?`, [instanceId], 'run');
  };
  const since = (age: string) => `transition_kind = 'starting', transition_started_at = now() - interval '${age}'`;
  await change(`status = 'running'`);
  await change(`status = 'error'`);
  await change(`status = 'error', deleted_at = now()`);
  await change(since('9 minutes'));
  await change(since('11 minutes'));
  await change(since('2 hours'));
  const text = await registry.metrics();
  expect(text).toContain('thermidora_instances_stuck{in="error"} 1\n');
  expect(text).toContain('thermidora_instances_stuck{in="transition"} 2\n');
});
