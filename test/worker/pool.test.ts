import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { beginStep } from '../../database/instances/lifecycle/begin-step.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { query, run, sql } from '../../database/sql.ts';
import type { Pool } from '../../worker/pool/keep-pool.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { keepTestPool, membersOf, readyMembers } from './pool-under-test.ts';

let reconciler: ReconcilerUnderTest;
const pools: Pool[] = [];
const starts: { isClaimed: boolean }[] = [];

beforeAll(async () => {
  reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, node: 'here', maxRunning: 20 });
});
afterAll(() => reconciler.close());
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.empty();
  reconciler.deps.pool = null;
  starts.splice(0);
});

async function keep(size: number, over: { freeBytes?: () => number; restMs?: number } = {}): Promise<Pool> {
  const pool = await keepTestPool(reconciler, { size, ...over, onStart: (start) => void starts.push(start) });
  pools.push(pool);
  return pool;
}

const members = () => membersOf(reconciler);
const ready = (count: number) => readyMembers(reconciler, count);

const runtimeOf = async ({ instanceId }: InstanceWithAgent): Promise<string> => {
  const [row] = await query<{ runtimeId: string }>(
    reconciler.orm.em.fork(),
    sql`select runtime_id as "runtimeId" from instances where id = ${instanceId}`,
  );
  return row?.runtimeId ?? '';
};

/** Starts a new instance, of a new account unless one is given, and waits until there is nothing to do about it. */
async function startNew(accountId?: string): Promise<InstanceWithAgent> {
  const instance = await reconciler.newInstance();
  if (accountId !== undefined)
    await run(reconciler.orm.em.fork(), sql`update instances set account_id = ${accountId} where id = ${instance.instanceId}`);
  await reconciler.power(instance.instanceId, 'start');
  await reconciler.reconcile(instance.instanceId);
  return instance;
}

/** Until the pool has looked twice: at each look it deletes what is left half-way, and then sees whether to start something. */
async function looked(): Promise<void> {
  for (const runtimeId of [reconciler.makeId('run'), reconciler.makeId('run')]) {
    const em = reconciler.orm.em.fork();
    await run(em, sql`insert into runtimes (id, node_id) values (${runtimeId}, ${reconciler.deps.nodeId})`);
    await run(em, sql`insert into pool_members (runtime_id, state, epoch, recipe) values (${runtimeId}, 'ending', 1, '')`);
    await eventually(async () => expect((await members()).map((it) => it.runtimeId)).not.toContain(runtimeId));
  }
}

/** An instance that has claimed the only ready gateway, and whose start went no further. The pool is not kept any more. */
async function claimOnly() {
  const pool = await keep(1);
  const [member] = await ready(1);
  await pool.stop();
  const runtimeId = member?.runtimeId ?? '';
  const instance = await reconciler.newInstance();
  const { instanceId } = instance;
  await reconciler.power(instanceId, 'start');
  const { powerGeneration } = await reconciler.row(instanceId);
  const options = { instanceId, powerGeneration, step: 'start', fence: 0, claimable: [runtimeId], now: new Date() } as const;
  const begun = await runTransaction(reconciler.orm.em, (em) => beginStep(em, options));
  return { instance, instanceId, runtimeId, begun };
}

async function destroy({ instanceId }: InstanceWithAgent): Promise<void> {
  await reconciler.power(instanceId, 'destroy');
  await reconciler.reconcile(instanceId);
}

const isRunning = async (runtimeId: string): Promise<boolean> =>
  (await reconciler.driver.inspect(runtimeId)).status === 'running';

async function runningGateways(): Promise<string[]> {
  return (await reconciler.driver.list()).filter(({ status }) => status === 'running').map(({ runtimeId }) => runtimeId);
}

test('no gateway is started for the pool while a customer begins to use a new instance', async () => {
  await keep(1, { restMs: 3_600_000 });
  await ready(1);
  const instance = await startNew();
  expect(starts).toEqual([{ isClaimed: true }]);
  await looked();
  expect(await members()).toEqual([]);
  await destroy(instance);
});

test('a new instance takes a ready gateway instead of starting one, and the pool is filled again', async () => {
  await keep(1);
  const [member] = await ready(1);
  const runtimeId = member?.runtimeId ?? '';
  const before = await reconciler.driver.inspect(runtimeId);
  const instance = await startNew();
  expect(await runtimeOf(instance)).toBe(runtimeId);
  expect((await reconciler.driver.inspect(runtimeId)).startedAt).toEqual(before.startedAt);
  expect(await reconciler.row(instance.instanceId)).toMatchObject({ status: 'running', gatewayEpoch: 1, deaths: [] });
  expect(starts).toEqual([{ isClaimed: true }]);
  const others = await query(
    reconciler.orm.em.fork(),
    sql`select from runtimes where id = ${instance.runtimeId} or (instance_id = ${instance.instanceId} and claimed_at is null)`,
  );
  expect(others).toEqual([]);
  const [next] = await ready(1);
  expect(next?.runtimeId).not.toBe(runtimeId);
  await destroy(instance);
  expect(await reconciler.driver.inspect(runtimeId)).toMatchObject({ status: 'absent' });
});

test('of five instances that start at once one takes the ready gateway, and each has exactly one', async () => {
  await keep(1);
  const [member] = await ready(1);
  const instances = await Promise.all(Array.from({ length: 5 }, () => startNew()));
  const runtimes = await Promise.all(instances.map((instance) => runtimeOf(instance)));
  expect(new Set(runtimes).size).toBe(5);
  expect(runtimes.filter((runtimeId) => runtimeId === member?.runtimeId)).toHaveLength(1);
  for (const { instanceId } of instances) expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running' });
  await pools.pop()?.empty();
  expect((await runningGateways()).toSorted()).toEqual(runtimes.toSorted());
  for (const instance of instances) await destroy(instance);
});

test('the last ready gateway is left to others by an account that has just taken one', async () => {
  await keep(2);
  await ready(2);
  const first = await startNew();
  await ready(2);
  await pools.pop()?.stop();
  const second = await startNew(first.accountId);
  const third = await startNew(first.accountId);
  expect(starts.map(({ isClaimed }) => isClaimed)).toEqual([true, true, false]);
  const other = await startNew();
  expect(starts.at(-1)).toEqual({ isClaimed: true });
  for (const instance of [first, second, third, other]) await destroy(instance);
});

test('an instance that was started before never takes one: its storage stays with it', async () => {
  const instance = await startNew();
  const runtimeId = await runtimeOf(instance);
  await reconciler.power(instance.instanceId, 'stop');
  await reconciler.reconcile(instance.instanceId);
  await keep(1);
  await ready(1);
  await reconciler.power(instance.instanceId, 'start');
  await reconciler.reconcile(instance.instanceId);
  expect(await runtimeOf(instance)).toBe(runtimeId);
  expect(await ready(1)).toHaveLength(1);
  await destroy(instance);
});

test('a worker that dies right after the claim leaves the gateway to the next attempt', async () => {
  const { instance, instanceId, runtimeId, begun } = await claimOnly();
  expect(begun).toMatchObject({ isClaimed: true, epoch: 2 });
  await reconciler.reconcile(instanceId);
  expect(await runtimeOf(instance)).toBe(runtimeId);
  expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running', gatewayEpoch: 1 });
  expect(await runningGateways()).toEqual([runtimeId]);
  await destroy(instance);
});

test('a gateway that ends right after it was claimed is started again for its instance', async () => {
  const { instance, instanceId, runtimeId } = await claimOnly();
  await reconciler.killGateway(runtimeId);
  await reconciler.reconcile(instanceId);
  const { status, epoch, gatewayEpoch } = await reconciler.row(instanceId);
  expect({ status, runtimeId: await runtimeOf(instance) }).toEqual({ status: 'running', runtimeId });
  expect(gatewayEpoch).toBe(epoch);
  await destroy(instance);
});

test('what a worker has left half-way is ended, and replaced', async () => {
  const first = await keep(1);
  const [member] = await ready(1);
  await first.stop();
  const runtimeId = member?.runtimeId ?? '';
  await run(reconciler.orm.em.fork(), sql`update pool_members set state = 'warming' where runtime_id = ${runtimeId}`);
  await keep(1);
  const [next] = await ready(1);
  expect(next?.runtimeId).not.toBe(runtimeId);
  expect(await reconciler.driver.inspect(runtimeId)).toMatchObject({ status: 'absent' });
});

test('a gateway that has died, and one that would be started differently now, are replaced', async () => {
  await keep(1);
  const [dead] = await ready(1);
  await reconciler.killGateway(dead?.runtimeId ?? '');
  const alive = await eventually(async () => {
    const [member] = await members();
    expect(member).toMatchObject({ state: 'ready' });
    expect(member?.runtimeId).not.toBe(dead?.runtimeId);
    return member?.runtimeId ?? '';
  });
  await run(reconciler.orm.em.fork(), sql`update pool_members set recipe = 'of an earlier OpenClaw' where runtime_id = ${alive}`);
  await eventually(async () => {
    const [member] = await members();
    expect(member).toMatchObject({ state: 'ready' });
    expect(member?.runtimeId).not.toBe(alive);
  });
  expect(await isRunning(alive)).toBe(false);
});

test('what an instance that a restored database does not know may have had is neither given away nor deleted', async () => {
  const pool = await keep(1);
  const [member] = await ready(1);
  await pool.stop();
  const runtimeId = member?.runtimeId ?? '';
  // As the attempt of an instance that had claimed it.
  await reconciler.driver.replaceSkills(runtimeId, new Map(), { epoch: 2, signal: AbortSignal.timeout(PATIENCE_MS) });
  const instance = await startNew();
  expect(await runtimeOf(instance)).toBe(instance.runtimeId);
  await run(
    reconciler.orm.em.fork(),
    sql`update pool_members set recipe = 'of an earlier OpenClaw' where runtime_id = ${runtimeId}`,
  );
  await keep(1);
  await eventually(async () => expect((await members()).map((it) => it.runtimeId)).not.toContain(runtimeId));
  expect(await isRunning(runtimeId)).toBe(true);
  const call = { epoch: 3, signal: AbortSignal.timeout(PATIENCE_MS) };
  await reconciler.driver.destroy(runtimeId, call);
  await destroy(instance);
});

test('nothing is started while memory is short, while the machine is starved, or while all slots are taken', async () => {
  await keep(1, { freeBytes: () => 2 * 1024 ** 3 - 1 });
  await looked();
  await pools.pop()?.stop();
  reconciler.machine.isStarved = true;
  await keep(1);
  await looked();
  await pools.pop()?.stop();
  reconciler.machine.isStarved = false;
  await run(reconciler.orm.em.fork(), sql`update nodes set max_running = 0`);
  await keep(1);
  await looked();
  await run(reconciler.orm.em.fork(), sql`update nodes set max_running = 20`);
  expect(await runningGateways()).toEqual([]);
  await ready(1);
});

test('a member that is ready is ended, and none started, for an instance that a cluster has just found no machine for', async () => {
  await keep(1);
  await ready(1);
  const { instanceId } = await reconciler.newInstance();
  const notPlaced = (since: string) =>
    run(
      reconciler.orm.em.fork(),
      sql`update instances set desired_status = 'running', reason_code = 'no_capacity', reason_at = now() - ${since}::interval where id = ${instanceId}`,
    );
  await notPlaced('0 seconds');
  await eventually(async () => expect(await members()).toEqual([]));
  await looked();
  expect(await members()).toEqual([]);
  await notPlaced('5 minutes');
  await ready(1);
  await run(reconciler.orm.em.fork(), sql`update instances set desired_status = 'stopped' where id = ${instanceId}`);
});

test('on a cluster, where a Pod takes nothing of the memory of this machine, a short one hinders no member', async () => {
  const options = { size: 1, freeBytes: () => 0, runtime: 'kubernetes' } as const;
  pools.push(await keepTestPool(reconciler, options));
  await ready(1);
});

test('a start that waits for its turn ends the start of a member, and nothing of that is left', async () => {
  const { startPace } = reconciler.deps;
  const before = (await reconciler.driver.list()).map(({ runtimeId }) => runtimeId);
  let asked = 0;
  // First the pool asks, whether it may start a member; then the start itself, once its member is there.
  reconciler.deps.startPace = { ...startPace, state: () => ((asked += 1) === 1 ? 'idle' : 'waiting') };
  try {
    await keep(1);
    await eventually(async () => expect(asked).toBeGreaterThan(2));
    expect(await members()).toEqual([]);
    expect((await reconciler.driver.list()).map(({ runtimeId }) => runtimeId)).toEqual(before);
  } finally {
    reconciler.deps.startPace = startPace;
  }
});
