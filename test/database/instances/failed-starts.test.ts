import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { beginBreakdown } from '../../../database/instances/lifecycle/begin-breakdown.ts';
import { changePower } from '../../../database/instances/lifecycle/change-power.ts';
import { findLifecycle } from '../../../database/instances/lifecycle/find-lifecycle.ts';
import { noteDeath } from '../../../database/instances/note-death.ts';
import { recordFailedStart } from '../../../database/instances/lifecycle/record-step-failure.ts';
import { takeShards } from '../../../database/processes/shard-leases.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { MAX_FAILED_STARTS } from '../../../domain/lifecycle.ts';
import type { PowerAction } from '../../../domain/lifecycle.ts';
import { makeId, newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { newPaidInstance } from '../../worker/instance-rows.ts';

let database: TestOrm;
let now: Date;

beforeAll(async () => {
  database = await openTestOrm();
  now = new Date('2027-01-01T00:00:00Z');
});
afterAll(() => database.close());

const later = (seconds: number): void => {
  now = new Date(now.getTime() + seconds * 1_000);
};
const power = (instanceId: string, action: PowerAction) =>
  runTransaction(database.orm.em, (em) => changePower(em, { instanceId, action, now }));

async function rowOf(instanceId: string) {
  const row = await findLifecycle(database.orm.em.fork(), instanceId, { lock: false });
  if (!row) throw new Error('there is no such instance');
  const [{ failures, reason } = { failures: 0, reason: null }] = await database.orm.em
    .fork()
    .execute<{ failures: number; reason: string | null }[]>(
      'select cardinality(failed_starts) as failures, reason_code as reason from instances where id = ?',
      [instanceId],
    );
  const pauseSeconds = row.startNotBefore && (row.startNotBefore.getTime() - now.getTime()) / 1_000;
  return { ...row, failures, reason, pauseSeconds };
}

/** Its start fails as often, each time a second later. */
async function failStarts(instanceId: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    later(1);
    const { powerGeneration, epoch } = await rowOf(instanceId);
    const options = { instanceId, powerGeneration, epoch, fence: 0, failure: 'gateway_not_ready', isLast: false, now } as const;
    await runTransaction(database.orm.em, (em) => recordFailedStart(em, options));
  }
}

test('starts that are asked for again and again get a growing pause and a reason, though a stop lies between them', async () => {
  const { instanceId } = await newInstance(database.orm, {});
  await power(instanceId, 'start');
  await failStarts(instanceId, 4);
  await power(instanceId, 'stop');
  await power(instanceId, 'start');
  expect(await rowOf(instanceId)).toMatchObject({ failures: 4, startNotBefore: null, reason: null });
  await failStarts(instanceId, 1);
  await power(instanceId, 'stop');
  expect(await rowOf(instanceId)).toMatchObject({ startNotBefore: null, reason: null });
  await power(instanceId, 'start');
  expect(await rowOf(instanceId)).toMatchObject({ failures: 5, pauseSeconds: 10, reason: 'start_paused' });
  await failStarts(instanceId, 5);
  await power(instanceId, 'stop');
  await power(instanceId, 'start');
  expect(await rowOf(instanceId)).toMatchObject({ failures: 10, pauseSeconds: 20, reason: 'start_paused' });
  later(20);
  await power(instanceId, 'stop');
  await power(instanceId, 'start');
  expect(await rowOf(instanceId)).toMatchObject({ startNotBefore: null, reason: null });
});

test('no more failures are kept than count, and none for longer', async () => {
  const { instanceId } = await newInstance(database.orm, {});
  for (let failed = 0; failed <= MAX_FAILED_STARTS; failed += 3) {
    await power(instanceId, 'stop');
    await power(instanceId, 'start');
    await failStarts(instanceId, 3);
  }
  expect((await rowOf(instanceId)).failures).toBe(MAX_FAILED_STARTS);
  later(6 * 3_600);
  await failStarts(instanceId, 1);
  expect((await rowOf(instanceId)).failures).toBe(1);
});

test.each<['died' | 'was broken']>([['died'], ['was broken']])('a gateway that %s while it ran counts too', async (what) => {
  const em = database.orm.em.fork();
  await em.execute('update watch_shards set owner = null, expires_at = null', [], 'run');
  const [taken] = await takeShards(em, { owner: 'proc_me', limit: 1, held: [] });
  const lease = { owner: 'proc_me', shard: taken!.shard, epoch: taken!.epoch };
  const { instanceId } = await newPaidInstance(database.orm, { bootId: 'boot_1', ranForSeconds: 60 });
  const of = { instanceId, bootId: 'boot_1', now };
  await (what === 'died'
    ? runTransaction(em, (own) => noteDeath(own, { ...of, lease, endedAt: null, killFirst: false }))
    : runTransaction(em, (own) => beginBreakdown(own, { ...of, failure: 'gateway_broken', makeId })));
  expect((await rowOf(instanceId)).failures).toBe(1);
});
