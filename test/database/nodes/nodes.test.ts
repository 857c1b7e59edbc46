import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { adoptRuntimes } from '../../../database/nodes/adopt-runtimes.ts';
import { enterNode } from '../../../database/nodes/enter-node.ts';
import { claimRuntime } from '../../../database/nodes/place-runtime.ts';
import { takeSlot, wakeQueued } from '../../../database/instances/slots.ts';
import { insertProcess } from '../../../database/processes/process-lease.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { query, run, sql } from '../../../database/sql.ts';
import type { Sql } from '../../../database/sql.ts';
import { makeId, newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

let database: TestOrm;
beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());
beforeEach(async () => {
  await change(sql`delete from processes`);
  await change(sql`delete from outbox`);
  await change(sql`update instances set has_slot = false, queued_at = null`);
  // Those of an earlier test have no room.
  await change(sql`update nodes set max_running = 0`);
});

const change = (statement: Sql) => run(database.orm.em.fork(), statement);
const enter = (name: string, maxRunning = 4) =>
  runTransaction(database.orm.em, (em) => enterNode(em, { name, maxRunning, driver: 'process' }));
const adopt = (nodeId: number, ...runtimeIds: string[]) =>
  runTransaction(database.orm.em, (em) => adoptRuntimes(em, nodeId, runtimeIds));
/** Enters a worker of this node, which lives as long as the test. */
async function live(nodeId: number): Promise<void> {
  const id = makeId('proc');
  await insertProcess(database.orm.em.fork(), { id, kind: 'worker', address: null, nodeId });
  await change(sql`update processes set seen_at = 'infinity' where id = ${id}`);
}

interface Place {
  instanceId: string | null;
  nodeId: number | null;
  shard: number | null;
}

async function placeOf(runtimeId: string): Promise<Place | undefined> {
  const [place] = await query<Place>(
    database.orm.em.fork(),
    sql`select instance_id as "instanceId", node_id as "nodeId", shard from runtimes left join instances on instances.id = instance_id
      where runtimes.id = ${runtimeId}`,
  );
  return place;
}

test('the first node gets the shards that there are, the next one others, and a node that comes back is the same', async () => {
  const [first, second] = [await enter('first'), await enter('second')];
  expect(await enter('first', 9)).toBe(first);
  const shards = await query(
    database.orm.em.fork(),
    sql`select node_id as "nodeId", min(shard)::int as min, max(shard)::int as max, count(*)::int as count, max_running as "maxRunning"
       from watch_shards join nodes on nodes.id = node_id where name in ('first', 'second') group by 1, 5 order by 2`,
  );
  expect(shards).toEqual([
    { nodeId: first, min: 0, max: 15, count: 16, maxRunning: 9 },
    { nodeId: second, min: 16, max: 31, count: 16, maxRunning: 4 },
  ]);
});

test('every instance has its runtime, whoever makes it and whatever runtime it takes over, and a removed one has none', async () => {
  const { instanceId, runtimeId } = await newInstance(database.orm);
  expect(await placeOf(runtimeId)).toEqual({ instanceId, nodeId: null, shard: 0 });
  await change(sql`update instances set runtime_id = 'run_other' where id = ${instanceId}`);
  expect(await placeOf(runtimeId)).toMatchObject({ instanceId: null });
  expect(await placeOf('run_other')).toMatchObject({ instanceId });
  const { instanceId: heir } = await newInstance(database.orm, { runtimeId });
  expect(await placeOf(runtimeId)).toMatchObject({ instanceId: heir });
  await change(sql`delete from instances where id = ${heir}`);
  expect(await placeOf(runtimeId)).toBeUndefined();
});

test('a runtime is of the node that has its storage, with a shard of that node', async () => {
  const [here, other] = [await enter('has-storage'), await newInstance(database.orm)];
  const found = await newInstance(database.orm);
  expect(await adopt(here, found.runtimeId, 'run_unknown')).toBe(1);
  const place = await placeOf(found.runtimeId);
  expect(place).toMatchObject({ nodeId: here });
  expect(place?.shard).toBeGreaterThan(15);
  expect(await placeOf(other.runtimeId)).toMatchObject({ nodeId: null, shard: 0 });
  expect(await adopt(here, found.runtimeId)).toBe(0);
  expect(await placeOf(found.runtimeId)).toEqual(place);
});

test('a node takes over what it has of a node without a worker, and nothing of a node whose worker lives', async () => {
  const [old, renamed] = [await enter('old-name'), await enter('new-name')];
  const { runtimeId } = await newInstance(database.orm);
  await live(old);
  await adopt(old, runtimeId);
  expect(await adopt(renamed, runtimeId)).toBe(0);
  expect(await placeOf(runtimeId)).toMatchObject({ nodeId: old });
  await change(sql`update processes set seen_at = now() - interval '11 seconds'`);
  expect(await adopt(renamed, runtimeId)).toBe(1);
  expect(await placeOf(runtimeId)).toMatchObject({ nodeId: renamed });
});

/** Asks for a slot, as a worker of this node. */
const takes = (nodeId: number, instanceId: string) =>
  runTransaction(database.orm.em, (em) => takeSlot(em, { instanceId, nodeId, maxRunning: 100, now: new Date() }));

async function woken(): Promise<string[]> {
  await runTransaction(database.orm.em, (em) => wakeQueued(em, 100));
  const rows = await query<{ id: string }>(
    database.orm.em.fork(),
    sql`with woken as (delete from outbox returning id, subject_id) select subject_id as id from woken order by woken.id`,
  );
  return rows.map(({ id }) => id);
}

test('instances are placed where there is most room, up to what each node may run, and never on a node without a worker', async () => {
  const [small, large, dead] = [await enter('small', 1), await enter('large', 2), await enter('dead', 9)];
  await live(large);
  const made = [];
  for (let count = 0; count < 4; count += 1) made.push(await newInstance(database.orm));
  const answers = [];
  for (const { instanceId } of made) answers.push(await takes(small, instanceId));
  expect(answers).toEqual([true, true, true, false]);
  const places = await Promise.all(made.map(async ({ runtimeId }) => (await placeOf(runtimeId))?.nodeId));
  const counts = [small, large].map((nodeId) => places.filter((place) => place === nodeId).length);
  expect(counts).toEqual([1, 2]);
  expect(places).not.toContain(dead);
  expect(places[3]).toBeNull();
});

test('an instance is placed where a gateway is ready for it, though another node has more room', async () => {
  const [roomy, prepared] = [await enter('roomy', 5), await enter('prepared', 2)];
  await live(roomy);
  await live(prepared);
  const pooled = async (state: string) => {
    await change(sql`insert into runtimes (id, node_id) values (${`run_${state}`}, ${prepared})`);
    await change(sql`insert into pool_members (runtime_id, state, epoch, recipe) values (${`run_${state}`}, ${state}, 1, '')`);
  };
  const placed = async () => {
    const { instanceId, runtimeId } = await newInstance(database.orm);
    expect(await takes(roomy, instanceId)).toBe(true);
    return (await placeOf(runtimeId))?.nodeId;
  };
  await pooled('warming');
  expect(await placed()).toBe(roomy);
  await pooled('ready');
  expect(await placed()).toBe(prepared);
  expect(await placed()).toBe(prepared);
  expect(await placed()).toBe(roomy);
});

test('a slot that is free wakes who waits for its node, and who waits for any', async () => {
  const [full, free] = [await enter('full', 1), await enter('free', 1)];
  await live(full);
  const [running, waits, anywhere, fills] = [
    await newInstance(database.orm),
    await newInstance(database.orm, { epoch: 1 }),
    await newInstance(database.orm),
    await newInstance(database.orm, { epoch: 1 }),
  ];
  await adopt(full, running.runtimeId, waits.runtimeId);
  await adopt(free, fills.runtimeId);
  expect(await takes(full, running.instanceId)).toBe(true);
  expect(await takes(full, waits.instanceId)).toBe(false);
  await live(free);
  expect(await takes(free, fills.instanceId)).toBe(true);
  expect(await takes(free, anywhere.instanceId)).toBe(false);
  await woken();
  expect(await woken()).toEqual([]);
  await change(sql`update instances set has_slot = false where id = ${fills.instanceId}`);
  expect(await woken()).toEqual([anywhere.instanceId]);
  await change(sql`update instances set has_slot = false where id = ${running.instanceId}`);
  expect((await woken()).toSorted()).toEqual([waits.instanceId, anywhere.instanceId].toSorted());
});

test('one that has never begun leaves a node whose worker is gone, and one that has begun stays', async () => {
  const [gone, left] = [await enter('gone', 9), await enter('left', 9)];
  const [fresh, begun] = [await newInstance(database.orm), await newInstance(database.orm, { epoch: 1 })];
  for (const { runtimeId } of [fresh, begun]) await adopt(gone, runtimeId);
  for (const { instanceId } of [fresh, begun]) expect(await takes(left, instanceId)).toBe(true);
  expect([await placeOf(fresh.runtimeId), await placeOf(begun.runtimeId)]).toMatchObject([{ nodeId: left }, { nodeId: gone }]);
});

test('a step claims the runtime that no node has, and is refused one of another node', async () => {
  const [mine, other] = [await enter('mine'), await enter('other')];
  const { instanceId, runtimeId } = await newInstance(database.orm, { epoch: 1 });
  const claim = (nodeId: number) => runTransaction(database.orm.em, (em) => claimRuntime(em, { instanceId, nodeId }));
  expect([await claim(mine), await claim(other), await claim(mine)]).toEqual([true, false, true]);
  expect(await placeOf(runtimeId)).toMatchObject({ nodeId: mine });
});
