import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createActivities } from '../../activities/create-activities.ts';
import { query, sql } from '../../database/sql.ts';
import { SWEEP_DRIFT } from '../../domain/temporal/workflow-ids.ts';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { attempt } from '../activities/kill-points.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';
import { PATIENCE_MS } from '../support/eventually.ts';

// Two machines with one database: each has a data directory, a driver and Temporal workers.
let here: ReconcilerUnderTest;
let there: ReconcilerUnderTest;

beforeAll(async () => {
  const program = async () => SCRIPTED_GATEWAY;
  here = await startReconciler({ program, node: 'here', maxRunning: 1 });
  there = await startReconciler({ program, node: 'there', maxRunning: 1, beside: here });
});
afterAll(async () => {
  await there.close();
  await here.close();
});
beforeEach(async () => {
  for (const { instanceId } of instances.splice(0)) await power(instanceId, 'destroy');
});

const instances: InstanceWithAgent[] = [];

async function newInstance(): Promise<InstanceWithAgent> {
  const instance = await here.newInstance();
  instances.push(instance);
  return instance;
}

async function power(instanceId: string, action: 'start' | 'stop' | 'destroy'): Promise<void> {
  await here.power(instanceId, action);
  await here.reconcile(instanceId);
}

async function running(): Promise<InstanceWithAgent> {
  const instance = await newInstance();
  await power(instance.instanceId, 'start');
  return instance;
}

/** The runtimes whose gateway runs on this node. */
async function gatewaysOf({ driver }: ReconcilerUnderTest): Promise<string[]> {
  return (await driver.list()).filter(({ status }) => status === 'running').map(({ runtimeId }) => runtimeId);
}

const sweepOf = ({ deps }: Pick<ReconcilerUnderTest, 'deps'>) => attempt(() => createActivities(deps).sweepDrift());

/** By whichever worker begins with the schedule's workflow, as each minute. */
async function sweep(): Promise<void> {
  const workflowId = `sweep/${here.makeId('run')}`;
  await here.client.workflow.execute(SWEEP_DRIFT, { workflowId, taskQueue: TASK_QUEUES.maintenance, args: [] });
}

interface Place {
  nodeId: number | null;
  /** Of the shard that it is watched in. */
  watchedBy: number | null;
}

async function placeOf({ instanceId }: InstanceWithAgent): Promise<Place | undefined> {
  const [place] = await query<Place>(
    here.orm.em.fork(),
    sql`select runtimes.node_id as "nodeId", watch_shards.node_id as "watchedBy"
       from instances join runtimes on runtimes.id = runtime_id join watch_shards using (shard) where instances.id = ${instanceId}`,
  );
  return place;
}

test('each instance runs on one node, where it is watched, and every node takes as many as it may', async () => {
  const [one, other] = [await running(), await running()];
  const nodes = [here, there];
  const gateways = await Promise.all(nodes.map(gatewaysOf));
  expect(gateways.map((found) => found.length)).toEqual([1, 1]);
  expect(gateways.flat().toSorted()).toEqual([one.runtimeId, other.runtimeId].toSorted());
  for (const instance of [one, other]) {
    const node = nodes.find((_, index) => gateways[index]?.includes(instance.runtimeId))?.deps.nodeId;
    expect(await placeOf(instance)).toEqual({ nodeId: node, watchedBy: node });
    expect(await here.statusOf(instance.instanceId)).toMatchObject({ status: 'running', hasSlot: true });
  }

  const third = await running();
  expect(await here.statusOf(third.instanceId)).toMatchObject({ isQueued: true, hasSlot: false });
  expect(await placeOf(third)).toMatchObject({ nodeId: null });
  await power(other.instanceId, 'stop');
  await here.reconcile(third.instanceId);
  expect(await here.statusOf(third.instanceId)).toMatchObject({ status: 'running' });
  expect((await placeOf(third))?.nodeId).toBe((await placeOf(other))?.nodeId);
});

test('an instance stays on the node that has its storage, and waits for it although the other one has room', async () => {
  const [first, second] = [await running(), await running()];
  await power(first.instanceId, 'stop');
  const place = await placeOf(first);
  const rival = await running();
  expect(await placeOf(rival)).toEqual(place);
  await power(second.instanceId, 'stop');
  await power(first.instanceId, 'start');
  expect(await here.statusOf(first.instanceId)).toMatchObject({ isQueued: true });
  await power(rival.instanceId, 'stop');
  await here.reconcile(first.instanceId);
  expect(await here.statusOf(first.instanceId)).toMatchObject({ status: 'running' });
  expect(await placeOf(first)).toEqual(place);
});

test('sweeps of both nodes leave the gateways and the storage of each other alone', async () => {
  const pair = [await running(), await running()];
  const before = await Promise.all(pair.map(({ instanceId }) => here.statusOf(instanceId)));
  const gateways = await Promise.all([here, there].map(gatewaysOf));
  const stray = there.makeId('run');
  await there.driver.writeConfig(
    { runtimeId: stray, renderConfig: () => '{}' },
    { epoch: 1, signal: AbortSignal.timeout(PATIENCE_MS) },
  );
  await sweep();
  await sweep();
  expect(await Promise.all(pair.map(({ instanceId }) => here.statusOf(instanceId)))).toEqual(before);
  expect(await Promise.all([here, there].map(gatewaysOf))).toEqual(gateways);
  expect([await here.driver.listQuarantined(), await there.driver.listQuarantined()]).toMatchObject([[], [{ runtimeId: stray }]]);
  expect(
    await query(here.orm.em.fork(), sql`select runtime_id as "runtimeId", node_id as "nodeId" from unowned_runtimes`),
  ).toEqual([{ runtimeId: stray, nodeId: there.deps.nodeId }]);
});

test('the death of a gateway that nobody noted is found by its node', async () => {
  const pair = [await running(), await running()];
  const [lost] = await gatewaysOf(there);
  await there.killGateway(lost ?? '');
  const noted = { ...there.deps, clock: () => new Date(Date.now() + 120_000) };
  expect(await sweepOf(here)).toMatchObject({ woken: 0 });
  expect(await sweepOf({ ...there, deps: noted })).toMatchObject({ woken: 1 });
  const states = await Promise.all(pair.map(({ instanceId }) => here.row(instanceId)));
  expect(states.map(({ bootId, runtimeId }) => [runtimeId === lost, bootId === null])).toEqual(
    states.map(({ runtimeId }) => [runtimeId === lost, runtimeId === lost]),
  );
});

test('a step that reaches a worker of another node changes nothing there', async () => {
  const instance = await running();
  const away = (await placeOf(instance))?.nodeId === here.deps.nodeId ? there : here;
  await here.power(instance.instanceId, 'stop');
  const { powerGeneration } = await here.row(instance.instanceId);
  await expect(
    attempt(() => away.activities.stopInstance({ instanceId: instance.instanceId, powerGeneration })),
  ).rejects.toMatchObject({
    type: 'stale_attempt',
  });
  expect(await away.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'absent' });
});
