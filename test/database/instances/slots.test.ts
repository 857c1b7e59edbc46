import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { freeSlot, takeSlot, wakeQueued } from '../../../database/instances/slots.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { newAccount, newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const MAX_RUNNING = 3;

let database: TestOrm;
let clock = Date.parse('2027-01-01T00:00:00Z');

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());
beforeEach(() => database.orm.em.fork().execute(`update instances set has_slot = false, queued_at = null`, [], 'run'));

/** Instances of one account that are to be started. */
async function instancesOf(count: number): Promise<string[]> {
  const { accountId: account } = await newAccount(database.orm);
  const made = [];
  for (let index = 0; index < count; index += 1) made.push((await newInstance(database.orm, { account })).instanceId);
  return made;
}

/** Asks for a slot, each a second after the one before. */
function start(instanceId: string): Promise<boolean> {
  clock += 1_000;
  return runTransaction(database.orm.em, (em) =>
    takeSlot(em, { instanceId, nodeId: null, maxRunning: MAX_RUNNING, now: new Date(clock) }),
  );
}

async function startAll(instanceIds: readonly string[]): Promise<boolean[]> {
  const answers = [];
  for (const instanceId of instanceIds) answers.push(await start(instanceId));
  return answers;
}

/** Which instances were woken since, in order. */
async function awake(): Promise<string[]> {
  const rows = await database.orm.em
    .fork()
    .execute<{ id: string }[]>(
      'with woken as (delete from outbox returning id, subject_id) select subject_id as id from woken order by woken.id',
    );
  return rows.map(({ id }) => id);
}

const free = (instanceId: string) => runTransaction(database.orm.em, (em) => freeSlot(em, instanceId, MAX_RUNNING));

test('one account may have every slot while no other one wants any', async () => {
  expect(await startAll(await instancesOf(4))).toEqual([true, true, true, false]);
});

test('what an account starts first goes before what another one starts on top of what it has', async () => {
  const many = await instancesOf(5);
  expect(await startAll(many)).toEqual([true, true, true, false, false]);
  const [single] = (await instancesOf(1)) as [string];
  expect(await start(single)).toBe(false);
  await awake();
  await free(many[0]!);
  expect(await awake()).toEqual([single]);
  expect(await start(many[3]!)).toBe(false);
  expect(await start(single)).toBe(true);
});

test('several accounts take turns, and within one the longest waiting comes first', async () => {
  const [full, one, other] = [await instancesOf(3), await instancesOf(2), await instancesOf(2)];
  await startAll([...full, ...one, ...other]);
  await database.orm.em.fork().execute('update instances set has_slot = false where has_slot', [], 'run');
  await awake();
  expect(await runTransaction(database.orm.em, (em) => wakeQueued(em, MAX_RUNNING))).toBe(3);
  expect(await awake()).toEqual([one[0], other[0], one[1]]);
});

test('whoever is woken gets its slot, in whichever order they ask', async () => {
  const [one, other] = [await instancesOf(4), await instancesOf(2)];
  await startAll([...one, ...other]);
  await awake();
  await free(one[0]!);
  await free(one[1]!);
  const woken = [...new Set(await awake())];
  expect(new Set(woken)).toEqual(new Set([one[3], other[0]]));
  expect(await startAll(woken.toReversed())).toEqual([true, true]);
});
