import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import type { Instance } from '../../../database/entities/instance.ts';
import { findDueSleepers } from '../../../database/instances/sleep/wake-sleeper.ts';
import { createOrm } from '../../../database/orm.ts';
import { newInstance } from '../../factories.ts';
import { createTestDatabase } from '../../support/test-database.ts';
import type { TestDatabase } from '../../support/test-database.ts';

let database: TestDatabase;
let orm: MikroORM;

beforeAll(async () => {
  database = await createTestDatabase();
  orm = await createOrm(database.url);
});
afterAll(async () => {
  await orm?.close();
  await database?.drop();
});

const ago = (ms: number): Date => new Date(Date.now() - ms);

async function newSleeper(values: Partial<Instance>): Promise<string> {
  const asleep = { status: 'stopped', sleepState: 'asleep', sleepSince: ago(3_600_000), gatewayEpoch: 0 } as const;
  return (await newInstance(orm, { ...asleep, ...values })).instanceId;
}

test('a sleeper whose gateway is only resumed wakes later for its job than one that has to start', async () => {
  const suspended = { suspendedAt: ago(1_800_000), gatewayEpoch: 1 };
  const stopped = await newSleeper({ wakesAt: ago(2_000) });
  const resumedLater = await newSleeper({ wakesAt: ago(3_000), ...suspended });
  const resumedNow = await newSleeper({ wakesAt: ago(90_000), ...suspended });
  const startedAnew = await newSleeper({ wakesAt: ago(4_000), ...suspended, restartGeneration: 1 });
  const early = await newSleeper({ wakesAt: ago(-30_000) });
  const due = await findDueSleepers(orm.em.fork(), { limit: 10, suspendedLaterMs: 60_000 });
  expect(due).toEqual([resumedNow, startedAnew, stopped]);
  expect(due).not.toContain(resumedLater);
  expect(due).not.toContain(early);
});
