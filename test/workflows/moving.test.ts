import { lstat, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { askMove } from '../../database/moves/ask-move.ts';
import type { AskedMove } from '../../database/moves/ask-move.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { query, sql } from '../../database/sql.ts';
import { MOVE_INSTANCES, MOVE_INSTANCES_ID, PAUSE_SIGNAL, RESUME_SIGNAL } from '../../domain/temporal/workflow-ids.ts';
import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { wholeArchive } from '../../runtime/state-archive.ts';
import { attempt, surviveKills } from '../activities/kill-points.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { startReconciler } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';

// Two machines with one database, each with a data directory, a driver, and a server by which the other one reads.
let here: ReconcilerUnderTest;
let there: ReconcilerUnderTest;
let instance: InstanceWithAgent;

beforeAll(async () => {
  const program = async () => SCRIPTED_GATEWAY;
  here = await startReconciler({ program, node: 'here', maxRunning: 8 });
  there = await startReconciler({ program, node: 'there', maxRunning: 4, beside: here });
});
afterAll(async () => {
  await there.close();
  await here.close();
});
beforeEach(async () => {
  instance = await here.newInstance();
  await power('start');
  await leaveState();
});

async function power(action: 'start' | 'stop' | 'destroy'): Promise<void> {
  await here.power(instance.instanceId, action);
  await here.reconcile(instance.instanceId);
}

const stateDirOf = ({ driver }: ReconcilerUnderTest, runtimeId: string): string => driver.paths(runtimeId).stateDir;

/** What an agent leaves: a program, a link, and names that are hard to say. */
async function leaveState(): Promise<void> {
  const folder = join(stateDirOf(here, instance.runtimeId), 'workspaces', 'own');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'run.sh'), 'echo hello', { mode: 0o750 });
  await writeFile(join(folder, '-C \n"odd" \u00fc'), 'odd');
  await symlink('/etc/hostname', join(folder, 'outside'));
}

/** What agents have left in the storage that the instance has now; and that it is on this node. */
async function expectStateOn(node: ReconcilerUnderTest): Promise<void> {
  const { runtimeId } = await here.row(instance.instanceId);
  const folder = join(stateDirOf(node, runtimeId), 'workspaces', 'own');
  expect((await readdir(folder)).toSorted()).toEqual(['-C \n"odd" \u00fc', 'outside', 'run.sh']);
  expect((await lstat(join(folder, 'run.sh'))).mode & 0o777).toBe(0o750);
  expect(await readFile(join(folder, 'run.sh'), 'utf8')).toBe('echo hello');
  expect(await readlink(join(folder, 'outside'))).toBe('/etc/hostname');
}

const ask = (to: string, instanceId = instance.instanceId): Promise<AskedMove> =>
  runTransaction(here.orm.em, (em) => askMove(em, { instanceId, to, newRuntimeId: here.makeId('run') }));

/** On which nodes a gateway of the instance runs, whatever runtime it has. */
async function gateways(): Promise<string[]> {
  const runtimes = await query<{ id: string }>(
    here.orm.em.fork(),
    sql`select id from runtimes where instance_id = ${instance.instanceId} or left_by = ${instance.instanceId}`,
  );
  const found = await Promise.all(
    [here, there].map(async ({ driver }, index) => {
      const states = await Promise.all(runtimes.map(({ id }) => driver.inspect(id)));
      return states.filter(({ status }) => status === 'running').map(() => ['here', 'there'][index] ?? '');
    }),
  );
  return found.flat();
}

async function quarantined({ driver }: ReconcilerUnderTest): Promise<string[]> {
  return (await driver.listQuarantined()).map(({ runtimeId }) => runtimeId);
}

const sweep = async (): Promise<void> => {
  for (const { activities } of [here, there]) await attempt(() => activities.sweepDrift());
};

describe('an instance that moves', () => {
  test('runs on the other node with its state, and what it has left is set aside', async () => {
    const before = instance.runtimeId;
    expect(await ask('there')).toBe('asked');
    await here.reconcile(instance.instanceId);
    expect(await gateways()).toEqual(['there']);
    expect(await here.statusOf(instance.instanceId)).toMatchObject({
      status: 'running',
      transition: null,
      hasSlot: true,
      deaths: 0,
      openIntervals: 1,
    });
    await expectStateOn(there);
    await sweep();
    expect(await quarantined(here)).toContain(before);
    expect(
      await readFile(
        join(
          here.dataDir,
          'runtimes',
          '.quarantine',
          (await readdir(join(here.dataDir, 'runtimes', '.quarantine'))).find((name) => name.startsWith(`${before}.`)) ?? '',
          'state',
          'workspaces',
          'own',
          'run.sh',
        ),
        'utf8',
      ),
    ).toBe('echo hello');
    expect(await ask('there')).toBe('there');
    expect(await ask('here')).toBe('asked');
    await here.reconcile(instance.instanceId);
    expect(await gateways()).toEqual(['here']);
    await expectStateOn(here);
  });

  test('stays stopped when it was, and is deleted with all that it has left', async () => {
    await power('stop');
    await ask('there');
    await here.reconcile(instance.instanceId);
    expect([await gateways(), await here.statusOf(instance.instanceId)]).toMatchObject([
      [],
      { status: 'stopped', transition: null },
    ]);
    await expectStateOn(there);
    const { runtimeId } = await here.row(instance.instanceId);
    await sweep();
    await power('destroy');
    await sweep();
    expect(await quarantined(here)).not.toContain(instance.runtimeId);
    expect(await Promise.all([here.driver.inspect(instance.runtimeId), there.driver.inspect(runtimeId)])).toMatchObject([
      { status: 'absent' },
      { status: 'absent' },
    ]);
  });

  test('is on one node only whenever its worker is killed', async () => {
    await ask('there');
    const { powerGeneration } = await here.row(instance.instanceId);
    const input = { instanceId: instance.instanceId, powerGeneration };
    expect(await surviveKills({ deps: here.deps, step: 'vacateInstance', input })).toBeGreaterThan(0);
    expect(await gateways()).toEqual([]);
    await expectStateOn(here);
    expect(await surviveKills({ deps: there.deps, step: 'moveInstance', input })).toBeGreaterThan(0);
    await expectStateOn(there);
    await here.reconcile(instance.instanceId);
    expect(await gateways()).toEqual(['there']);
  });

  test('is not touched by a sweep in the middle of its move, nor taken by an attempt of before', async () => {
    await ask('there');
    const { powerGeneration, moveRuntimeId } = await here.row(instance.instanceId);
    const input = { instanceId: instance.instanceId, powerGeneration };
    await attempt(() => here.activities.vacateInstance(input));
    const copied = there.driver.replaceState(moveRuntimeId ?? '', broken(), {
      epoch: 1,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    await expect(copied).rejects.toThrow('not read to its end');
    await sweep();
    expect([await quarantined(here), await quarantined(there)]).toEqual([
      expect.not.arrayContaining([instance.runtimeId]),
      expect.not.arrayContaining([moveRuntimeId]),
    ]);
    await attempt(() => there.activities.moveInstance(input));
    await expectStateOn(there);
    await expect(attempt(() => here.activities.startInstance(input))).rejects.toMatchObject({ type: 'stale_attempt' });
    await here.reconcile(instance.instanceId);
    expect(await gateways()).toEqual(['there']);
  });

  test('starts again where it was when it cannot be copied', async () => {
    await ask('there');
    const { powerGeneration, contentGeneration, moveRuntimeId } = await here.row(instance.instanceId);
    const input = { instanceId: instance.instanceId, powerGeneration };
    await attempt(() => here.activities.vacateInstance(input));
    const failed = { ...input, contentGeneration, step: 'move', failure: 'not_moved', epoch: null, isLast: true } as const;
    await attempt(() => there.activities.recordStepFailure(failed));
    await here.reconcile(instance.instanceId);
    expect([await gateways(), (await here.row(instance.instanceId)).runtimeId]).toEqual([['here'], instance.runtimeId]);
    await expectStateOn(here);
    expect(await there.driver.inspect(moveRuntimeId ?? '')).toMatchObject({ status: 'absent' });
  });
});

/** An archive that breaks off. */
async function* broken(): AsyncGenerator<Buffer> {
  yield* wholeArchive(
    (async function* () {
      yield Buffer.alloc(4_096);
    })(),
    { maxBytes: 8_192 },
  );
}

test('a state that is larger than allowed is refused, and one of just that size is not', async () => {
  const pieces = async function* (bytes: number): AsyncGenerator<Buffer> {
    yield Buffer.alloc(bytes - 26);
    yield Buffer.from('\n-- the state is whole --\n');
  };
  const sizeOf = async (bytes: number): Promise<number> => {
    let size = 0;
    for await (const piece of wholeArchive(pieces(bytes), { maxBytes: 1_000 })) size += piece.length;
    return size;
  };
  expect(await sizeOf(1_000)).toBe(974);
  await expect(sizeOf(1_001)).rejects.toThrow('larger than 1000 bytes');
});

test('a fleet moves a few at a time, waits while it is paused, and ends when all have arrived', async () => {
  const others = [await here.newInstance(), await here.newInstance()];
  for (const { instanceId } of others) {
    await here.power(instanceId, 'start');
    await here.reconcile(instanceId);
  }
  const onNode = async (name: string): Promise<string[]> => {
    const rows = await query<{ id: string }>(
      here.orm.em.fork(),
      sql`select instance_id as id from runtimes join nodes on nodes.id = node_id where name = ${name} and instance_id is not null`,
    );
    return rows.map(({ id }) => id);
  };
  const moving = async (): Promise<string[]> => {
    const rows = await query<{ id: string }>(
      here.orm.em.fork(),
      sql`select id from instances where move_node_id is not null and deleted_at is null`,
    );
    return rows.map(({ id }) => id);
  };
  const stay = await onNode('there');
  const wanted = await onNode('here');
  const handle = await here.client.workflow.signalWithStart(MOVE_INSTANCES, {
    ...{ workflowId: MOVE_INSTANCES_ID, taskQueue: TASK_QUEUES.maintenance, signal: PAUSE_SIGNAL },
    args: [{ from: 'here', to: 'there', atOnce: 2 }],
  });
  await eventually(async () => {
    const { events } = await handle.fetchHistory();
    if (!events?.some(({ activityTaskCompletedEventAttributes: done }) => done)) throw new Error('it has not looked yet');
  });
  expect(await moving()).toEqual([]);
  await handle.signal(RESUME_SIGNAL);
  let most = 0;
  await eventually(async () => {
    const ids = await moving();
    most = Math.max(most, ids.length);
    for (const id of ids) await here.reconcile(id);
    if ((await onNode('here')).length > 0) throw new Error('some are still there');
  });
  expect(most).toBeLessThanOrEqual(2);
  expect((await onNode('there')).toSorted()).toEqual([...stay, ...wanted].toSorted());
  expect(await handle.result()).toBe(wanted.length);
});
