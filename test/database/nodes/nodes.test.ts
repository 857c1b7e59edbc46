import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { adoptRuntimes } from '../../../database/nodes/adopt-runtimes.ts';
import { enterNode } from '../../../database/nodes/enter-node.ts';
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
beforeEach(() => change(sql`delete from processes`));

const change = (statement: Sql) => run(database.orm.em.fork(), statement);
const enter = (name: string, maxRunning = 4) => runTransaction(database.orm.em, (em) => enterNode(em, { name, maxRunning }));
const adopt = (nodeId: number, ...runtimeIds: string[]) =>
  runTransaction(database.orm.em, (em) => adoptRuntimes(em, nodeId, runtimeIds));
const live = (nodeId: number) =>
  insertProcess(database.orm.em.fork(), { id: makeId('proc'), kind: 'worker', address: null, nodeId });

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
