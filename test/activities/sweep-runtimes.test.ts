import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createActivities } from '../../activities/create-activities.ts';
import { dyingGateway, startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { attempt } from './kill-points.ts';
import { PATIENCE_MS } from '../support/eventually.ts';

const DAY_MS = 24 * 60 * 60_000;

let reconciler: ReconcilerUnderTest;
let runtimesDir: string;

beforeAll(async () => {
  reconciler = await startReconciler({ withWorkers: false, program: dyingGateway(1) });
  runtimesDir = join(reconciler.dataDir, 'runtimes');
});
afterAll(() => reconciler.close());
beforeEach(async () => {
  await rm(runtimesDir, { recursive: true, force: true });
  await sql('update instances set deleted_at = now(), boot_id = null');
});

const sql = <Row = { id: string }>(statement: string, values: unknown[] = []) =>
  reconciler.orm.em.fork().execute<Row[]>(statement, values);
const sweep = (afterMs = 0) => {
  const clock = () => new Date(Date.now() + afterMs);
  return attempt(() => createActivities({ ...reconciler.deps, clock }).sweepDrift());
};
const call = (epoch: number) => ({ epoch, signal: AbortSignal.timeout(PATIENCE_MS) });
const listed = () =>
  sql<{ runtimeId: string; isQuarantined: boolean }>(
    `select runtime_id as "runtimeId", quarantined_at is not null as "isQuarantined" from unowned_runtimes order by 1`,
  );

/** Storage with a customer's file in it. */
async function storage(runtimeId = reconciler.makeId('run')): Promise<string> {
  await mkdir(join(runtimesDir, runtimeId, 'state'), { recursive: true });
  await writeFile(join(runtimesDir, runtimeId, 'state', 'marker'), runtimeId);
  return runtimeId;
}
const storages = (count: number) => Promise.all(Array.from({ length: count }, () => storage()));
const ownedStorages = (count: number) =>
  Promise.all(Array.from({ length: count }, async () => storage((await reconciler.newInstance()).runtimeId)));

/** The runtimes whose customer's file is in its place. */
async function inPlace(): Promise<string[]> {
  const names = (await readdir(runtimesDir)).filter((name) => !name.startsWith('.'));
  return Promise.all(names.map((name) => readFile(join(runtimesDir, name, 'state', 'marker'), 'utf8')));
}

/** The runtimes whose customer's file is set aside. */
async function setAside(): Promise<string[]> {
  const names = await readdir(join(runtimesDir, '.quarantine')).catch(() => []);
  return Promise.all(names.map((name) => readFile(join(runtimesDir, '.quarantine', name, 'state', 'marker'), 'utf8')));
}

test('storage is destroyed only of a deleted instance; what no instance owns is quarantined, and what one owns stays', async () => {
  const gone = await reconciler.newInstance();
  await sql('update instances set deleted_at = now() where id = ?', [gone.instanceId]);
  const [owned] = await ownedStorages(1);
  const unknown = await storage();
  await storage(gone.runtimeId);
  expect(await sweep()).toMatchObject({ destroyed: 1, quarantined: 1, left: 0 });
  expect([await inPlace(), await setAside()]).toEqual([[owned], [unknown]]);
  expect(await listed()).toEqual([{ runtimeId: unknown, isQuarantined: true }]);
  expect(await sweep()).toMatchObject({ destroyed: 0, quarantined: 0, left: 0 });
  expect([await inPlace(), await setAside()]).toEqual([[owned], [unknown]]);
});

test('storage of a deleted instance is destroyed although its fence is higher than the row, and however long it is quarantined', async () => {
  const gone = await reconciler.newInstance();
  await reconciler.driver.writeConfig({ runtimeId: gone.runtimeId, renderConfig: () => '{}' }, call(7_000));
  await reconciler.driver.quarantine(gone.runtimeId, { at: new Date() }, call(7_001));
  await sql('update instances set deleted_at = now() where id = ?', [gone.instanceId]);
  expect(await sweep()).toMatchObject({ destroyed: 1 });
  expect(await reconciler.driver.listQuarantined()).toEqual([]);
  expect((await reconciler.row(gone.instanceId)).epoch).toBeGreaterThan(7_001);
});

test('three runtimes without an instance are quarantined, four at once are left alone and are an alarm', async () => {
  const three = await storages(3);
  expect(await sweep()).toMatchObject({ quarantined: 3, left: 0 });
  expect((await setAside()).toSorted()).toEqual(three.toSorted());

  const four = (await storages(4)).toSorted();
  expect(await sweep()).toMatchObject({ quarantined: 0, left: 4, destroyed: 0 });
  expect((await inPlace()).toSorted()).toEqual(four);
  expect((await listed()).filter(({ isQuarantined }) => !isQuarantined).map(({ runtimeId }) => runtimeId)).toEqual(four);
});

test('of a hundred runtimes five without an instance are quarantined, and six are left alone', async () => {
  await ownedStorages(94);
  const [removed = ''] = await storages(6);
  expect(await sweep()).toMatchObject({ quarantined: 0, left: 6 });
  expect(await setAside()).toEqual([]);
  await rm(join(runtimesDir, removed), { recursive: true });
  await ownedStorages(1);
  expect(await sweep()).toMatchObject({ quarantined: 5, left: 0 });
  expect(await setAside()).toHaveLength(5);
});

test('with too many without an instance not even a deleted instance loses storage, but what the operator deletes goes', async () => {
  const gone = await reconciler.newInstance();
  await sql('update instances set deleted_at = now() where id = ?', [gone.instanceId]);
  await storage(gone.runtimeId);
  const [asked, ...kept] = await storages(5);
  expect(await sweep()).toMatchObject({ left: 5, destroyed: 0 });
  await sql('update unowned_runtimes set delete_asked_at = now() where runtime_id = ?', [asked]);
  expect(await sweep()).toMatchObject({ left: 4, destroyed: 1 });
  expect((await inPlace()).toSorted()).toEqual([gone.runtimeId, ...kept].toSorted());
});

test('what an instance owns again is put back as it was, also from a fence that is higher than the row', async () => {
  const { instanceId, runtimeId } = await reconciler.newInstance();
  await storage(runtimeId);
  await reconciler.driver.writeConfig({ runtimeId, renderConfig: () => '{}' }, call(40));
  await sql(`update instances set runtime_id = 'run_another' where id = ?`, [instanceId]);
  expect(await sweep()).toMatchObject({ quarantined: 1 });
  await sql('update instances set runtime_id = ? where id = ?', [runtimeId, instanceId]);
  expect(await sweep()).toMatchObject({ restored: 1, destroyed: 0 });
  expect([await inPlace(), await setAside(), await listed()]).toEqual([[runtimeId], [], []]);
});

test('a change for the instance that owns it puts quarantined storage back first, so that no empty one takes its place', async () => {
  const runtimeId = await storage();
  await sweep();
  expect(await inPlace()).toEqual([]);
  await reconciler.driver.writeConfig({ runtimeId, renderConfig: () => '{}' }, call(100));
  expect([await inPlace(), await setAside()]).toEqual([[runtimeId], []]);
});

test('what is quarantined is deleted after seven days and not before, unless an instance owns it', async () => {
  const { instanceId, runtimeId: owned } = await reconciler.newInstance();
  await storage(owned);
  const old = await storage();
  await sql(`update instances set runtime_id = 'run_yetanother' where id = ?`, [instanceId]);
  expect(await sweep()).toMatchObject({ quarantined: 2 });
  for (let n = 0; n < 2; n += 1) await sweep(7 * DAY_MS - 60_000);
  expect(await setAside()).toHaveLength(2);
  await sql('update instances set runtime_id = ? where id = ?', [owned, instanceId]);
  for (let n = 0; n < 2; n += 1) await sweep(7 * DAY_MS + 60_000);
  expect([await inPlace(), await setAside(), await listed()]).toEqual([[owned], [], []]);
  expect(old).not.toBe(owned);
});

test('the highest fence that a sweep leaves can be exceeded', async () => {
  const [runtimeId = ''] = await storages(1);
  await reconciler.driver.writeConfig({ runtimeId, renderConfig: () => '{}' }, call(12));
  await sweep();
  await sql('update unowned_runtimes set delete_asked_at = now()');
  expect(await sweep()).toMatchObject({ destroyed: 1 });
  expect(await reconciler.driver.fenceOf(runtimeId)).toBeLessThan(20);
});

test('a runtime that is younger than ten minutes is not missed for want of a row', async () => {
  const runtimeId = reconciler.makeId('run');
  await reconciler.driver.ensureRunning({ runtimeId, renderConfig: () => '{}' }, call(1));
  expect(await sweep()).toMatchObject({ quarantined: 0, left: 0 });
  expect(await sweep(11 * 60_000)).toMatchObject({ quarantined: 1 });
});
