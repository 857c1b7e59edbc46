import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { dyingGateway, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { attempt } from './kill-points.ts';

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ withWorkers: false, program: dyingGateway(1) });
});
afterAll(() => reconciler.close());
beforeEach(async () => {
  await sql(`update instances set deleted_at = now(), boot_id = null`);
  await sql('delete from outbox');
});

const sql = (statement: string, values: unknown[] = []) => reconciler.orm.em.fork().execute<{ id: string }[]>(statement, values);
const sweep = () => attempt(() => reconciler.activities.sweepDrift());
const awake = async () => (await sql('select subject_id as id from outbox order by id')).map(({ id }) => id);

async function forgotten(): Promise<string> {
  const { instanceId } = await reconciler.newInstance();
  await reconciler.power(instanceId, 'start');
  await sql('delete from outbox where subject_id = ?', [instanceId]);
  await sql(`update instances set transition_started_at = now() - interval '2 minutes' where id = ?`, [instanceId]);
  return instanceId;
}

test('an instance that nobody was told of is woken, once', async () => {
  const instanceId = await forgotten();
  expect(await sweep()).toMatchObject({ woken: 1 });
  expect(await awake()).toEqual([instanceId]);
  expect(await sweep()).toMatchObject({ woken: 0 });
});

test('what was noted of stored bytes is added up', async () => {
  const { accountId } = await reconciler.newInstance();
  await sweep();
  expect(await sql('select id::text from stored_bytes_changes where account_id = ?', [accountId])).toEqual([]);
  expect(await sql('select account_id as id, bytes::float8 from stored_bytes where account_id = ?', [accountId])).toEqual([
    { id: accountId, bytes: expect.any(Number) },
  ]);
});

test('one that is as it is wanted, was just begun, or has its pause, is left alone', async () => {
  await reconciler.newInstance();
  const begun = await forgotten();
  await sql('update instances set transition_started_at = now() where id = ?', [begun]);
  const pausing = await forgotten();
  await sql(`update instances set start_not_before = now() + interval '1 minute' where id = ?`, [pausing]);
  const failed = await forgotten();
  await sql(`update instances set status = 'error', error_generation = power_generation where id = ?`, [failed]);
  expect(await sweep()).toMatchObject({ woken: 0 });
});

test('a gateway whose end nobody noted is taken out of use, and its meter is closed', async () => {
  const { instanceId, accountId } = await reconciler.newInstance();
  await sql(`update instances set desired_status = 'running', status = 'running', boot_id = 'boot_1' where id = ?`, [instanceId]);
  await sql(
    `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at) values (?, ?, ?, 'boot_1', now())`,
    [reconciler.makeId('int'), instanceId, accountId],
  );
  expect(await sweep()).toMatchObject({ woken: expect.any(Number) });
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ bootId: null, openIntervals: 0 });
  expect(await awake()).toContain(instanceId);
});
