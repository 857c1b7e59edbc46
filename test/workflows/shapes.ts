import { TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import { SWEEP_BILLING, SWEEP_BILLING_ID, SWEEP_DRIFT, SWEEP_DRIFT_ID } from '../../domain/temporal/workflow-ids.ts';
import { eventually } from '../support/eventually.ts';
import { openClaw } from '../support/open-claw.ts';
import type { Shape } from './recorded-shapes.ts';
import { bump, changeContent } from './content-changes.ts';
import { dyingGateway, startReconciler } from './reconciler-under-test.ts';
import type { GatewayProgram, ReconcilerUnderTest, Run } from './reconciler-under-test.ts';

/** Runs every shape for real and hands its run to the recorder, while its history can still be fetched. */
export async function runShapes(
  record: (shape: Shape, run: Run, reconciler: ReconcilerUnderTest) => Promise<void>,
): Promise<void> {
  await withReconciler(openClaw, async (reconciler) => {
    const instance = await reconciler.newInstance();
    const { instanceId } = instance;
    const keep = async (shape: Shape, run: Run) => record(shape, run, reconciler);

    await reconciler.power(instanceId, 'start');
    await keep('start', await reconciler.reconcile(instanceId));
    await changeContent(reconciler, instance);
    await keep('apply', await reconciler.reconcile(instanceId));
    await bump(reconciler, instanceId, 'restart_generation');
    await keep('restart', await reconciler.reconcile(instanceId));
    await reconciler.power(instanceId, 'stop');
    await keep('stop', await reconciler.reconcile(instanceId));
    await keep('newer-generation-during-a-step', await overtakeStart(reconciler, instanceId, 'stop'));
    await reconciler.power(instanceId, 'destroy');
    await keep('destroy', await reconciler.reconcile(instanceId));

    const other = await reconciler.newInstance();
    await keep('destroy-during-start', await overtakeStart(reconciler, other.instanceId, 'destroy'));
    await reconciler.power((await reconciler.newInstance()).instanceId, 'start');
    await keep('drift-repair', await sweep(reconciler));
  });
  await withReconciler(dyingGateway(1), async (reconciler) => {
    const { instanceId } = await reconciler.newInstance();
    await reconciler.power(instanceId, 'start');
    await record('failing-start-to-error', await reconciler.reconcile(instanceId), reconciler);
    await record('sweep-billing', await runSweep(reconciler, SWEEP_BILLING, SWEEP_BILLING_ID), reconciler);
  });
}

async function withReconciler(program: GatewayProgram, work: (reconciler: ReconcilerUnderTest) => Promise<void>) {
  const reconciler = await startReconciler({ program });
  try {
    await work(reconciler);
  } finally {
    await reconciler.close();
  }
}

/** Starts an instance and has something newer accepted while its gateway comes up. */
export async function overtakeStart(reconciler: ReconcilerUnderTest, instanceId: string, by: 'stop' | 'destroy'): Promise<Run> {
  await reconciler.power(instanceId, 'start');
  const run = await reconciler.wake(instanceId);
  await eventually(async () => {
    const { step } = await reconciler.statusOf(instanceId);
    if (step !== 'waiting_for_gateway') throw new Error(`the start is at ${step}`);
  });
  await reconciler.power(instanceId, by);
  await reconciler.wake(instanceId);
  await reconciler.ended(run);
  return run;
}

/** What the schedule does each minute. The outbox row of every wake-up is lost first. */
export async function sweep(reconciler: ReconcilerUnderTest): Promise<Run> {
  const { orm } = reconciler;
  await orm.em.fork().execute('delete from outbox', [], 'run');
  await orm.em.fork().execute(`update instances set transition_started_at = now() - interval '2 minutes'`, [], 'run');
  return runSweep(reconciler, SWEEP_DRIFT, SWEEP_DRIFT_ID);
}

async function runSweep({ client }: ReconcilerUnderTest, type: string, workflowId: string): Promise<Run> {
  const handle = await client.workflow.start(type, { workflowId, taskQueue: TASK_QUEUES.maintenance, args: [] });
  await handle.result();
  return { workflowId, runId: handle.firstExecutionRunId };
}
