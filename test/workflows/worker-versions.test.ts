import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { WAKE_SIGNAL } from '../../domain/temporal/workflow-ids.ts';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { bundleApart } from '../../worker/temporal/bundle-apart.ts';
import { createTemporalWorkers } from '../../worker/temporal/temporal-workers.ts';
import { handOver, listWorkerVersions, makeCurrent } from '../../worker/temporal/worker-versions.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { ReconcilerUnderTest, Run } from './reconciler-under-test.ts';

const log = pino({ level: 'silent' });

let reconciler: ReconcilerUnderTest;
let workflowBundle: { code: string };

beforeAll(async () => {
  workflowBundle = await bundleApart(cacheDirOf(process.env));
  // Its gateways end with what no later start would mend, so that a step is short.
  reconciler = await startReconciler({ program: dyingGateway(78), withWorkers: false });
});
afterAll(() => reconciler.close());

const running: { end(): Promise<void> }[] = [];
afterEach(async () => {
  for (const worker of running.splice(0)) await worker.end();
});

/** A worker process of this build, or of none. */
async function startWorker(buildId?: string): Promise<{ end(): Promise<void> }> {
  const { connection, client, activities } = reconciler;
  const { namespace } = client.options;
  const options = { connection, namespace, activities, workflowBundle, identity: `worker-${buildId}`, log };
  const workers = await createTemporalWorkers({ ...options, ...(buildId === undefined ? {} : { buildId }) });
  const run = workers.run();
  let ending: Promise<void> | null = null;
  const worker = {
    end: () => {
      workers.shutdown();
      return (ending ??= run);
    },
  };
  running.push(worker);
  return worker;
}

/** A run that is open and waits: its instance may not be started yet. */
async function openRun(): Promise<Run & { instanceId: string }> {
  const { instanceId } = await reconciler.newInstance();
  await reconciler.power(instanceId, 'start');
  await setStart(instanceId, "now() + interval '1 hour'");
  const run = await reconciler.wake(instanceId);
  await eventually(async () => expect(await buildsOf(run)).not.toEqual([]));
  return { ...run, instanceId };
}

/** Lets the run go on, and waits until it has done all that it does. */
async function finish({ instanceId, ...run }: Run & { instanceId: string }): Promise<void> {
  await setStart(instanceId, 'null');
  await reconciler.wake(instanceId);
  await reconciler.ended(run);
  expect(await reconciler.statusOf(instanceId)).toMatchObject({ status: 'error', reason: 'config_refused' });
}

async function setStart(instanceId: string, notBefore: string): Promise<void> {
  await reconciler.orm.em.fork().execute(`update instances set start_not_before = ${notBefore} where id = ?`, [instanceId]);
}

/** Which workers did the steps of a run, in order. */
async function buildsOf({ workflowId, runId }: Run): Promise<string[]> {
  const { events } = await reconciler.client.workflow.getHandle(workflowId, runId).fetchHistory();
  const identities = (events ?? []).flatMap(({ workflowTaskCompletedEventAttributes: done }) => done?.identity ?? []);
  return [...new Set(identities)];
}

const openRuns = async (): Promise<Record<string, number>> =>
  Object.fromEntries((await listWorkerVersions(reconciler.client)).map(({ buildId, openRuns: count }) => [buildId, count]));

const currentBuild = async (): Promise<string | undefined> =>
  (await listWorkerVersions(reconciler.client)).find(({ isCurrent }) => isCurrent)?.buildId;

test('runs stay with the build that began them while new ones begin with the next, and the old one ends without a loss', async () => {
  expect(await listWorkerVersions(reconciler.client)).toEqual([]);
  const one = await startWorker('a');
  await makeCurrent(reconciler.client, 'a', PATIENCE_MS);
  const older = await openRun();

  await startWorker('b');
  await makeCurrent(reconciler.client, 'b', PATIENCE_MS);
  expect(await currentBuild()).toBe('b');
  const newer = await openRun();
  await eventually(async () => expect(await openRuns()).toEqual({ a: 1, b: 1 }));

  await finish(older);
  expect(await buildsOf(older)).toEqual(['worker-a']);
  await eventually(async () => expect(await openRuns()).toEqual({ a: 0, b: 1 }));
  await one.end();

  await finish(newer);
  expect(await buildsOf(newer)).toEqual(['worker-b']);
  const again = await openRun();
  await finish(again);
  expect(await buildsOf(again)).toEqual(['worker-b']);
});

test('a run whose build is gone for good is handed over to the current one and goes on where it was', async () => {
  const one = await startWorker('c');
  await makeCurrent(reconciler.client, 'c', PATIENCE_MS);
  const left = await openRun();
  await one.end();

  await startWorker('d');
  await makeCurrent(reconciler.client, 'd', PATIENCE_MS);
  await eventually(async () => expect(await handOver(reconciler.client, 'c')).toBe(1));
  await finish(left);
  expect(await buildsOf(left)).toEqual(['worker-c', 'worker-d']);
});

test(
  'a run that is woken again and again ends, and another one goes on where it was',
  async () => {
    await startWorker('long');
    await makeCurrent(reconciler.client, 'long', PATIENCE_MS);
    const run = await openRun();

    const handle = reconciler.client.workflow.getHandle(run.workflowId, run.runId);
    const status = async (): Promise<string> => (await handle.describe()).status.name;
    const isOver = async (): Promise<boolean> => (await status()) !== 'RUNNING';
    // Several at once are one look. A run that has ended takes none.
    const wakeOften = async (): Promise<void> => {
      for (let signal = 0; signal < 20; signal += 1) await handle.signal(WAKE_SIGNAL).catch(() => undefined);
      expect(await isOver()).toBe(true);
    };
    // Two hundred looks, each with two tasks of the worker: minutes on a busy machine.
    await eventually(wakeOften, TEST_LIMIT_MS);
    expect(await status()).toBe('CONTINUED_AS_NEW');
    const { runId } = await reconciler.client.workflow.getHandle(run.workflowId).describe();
    expect(runId).not.toBe(run.runId);
    await finish({ ...run, runId });
  },
  2 * TEST_LIMIT_MS,
);

test('runs of workers without a version go on with the first build that is made current', async () => {
  await reconciler.client.workflowService.setWorkerDeploymentCurrentVersion({
    namespace: reconciler.client.options.namespace,
    deploymentName: 'thermidora',
    buildId: '',
    ignoreMissingTaskQueues: true,
  });
  const unversioned = await startWorker();
  const run = await openRun();
  await unversioned.end();

  await startWorker('e');
  await makeCurrent(reconciler.client, 'e', PATIENCE_MS);
  await finish(run);
  expect(await buildsOf(run)).toEqual(['worker-undefined', 'worker-e']);
});
