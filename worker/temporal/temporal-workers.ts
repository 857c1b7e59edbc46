import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import type { Activities } from '../../activities/create-activities.ts';
import type { WebhookActivities } from '../../activities/webhooks/create-webhook-activities.ts';
import { nodeQueue, TASK_QUEUES } from '../../domain/temporal/task-queues.ts';
import type { Log } from '../../lib/log.ts';
import { temporalLogger } from './temporal-logging.ts';

export interface TemporalWorkersOptions {
  connection: NativeConnection;
  namespace: string;
  activities: Activities;
  /** Without them nothing is delivered by this process. */
  webhookActivities?: WebhookActivities;
  /** The workflows as one file (bundle-apart.ts). */
  workflowBundle: { code: string };
  /** The node of the driver: its work is done here. */
  nodeId?: number | null;
  /** Which build this is. With one, each run stays with the build that began it (PINNED), and that build has to be made current. */
  buildId?: string;
  /** The identity of this process in Temporal. */
  identity?: string;
  log: Log;
}

/** The workers of one process, one per task queue. Those of no node have what was begun before there were nodes, and all workflows. */
export interface TemporalWorkers {
  /** Works until shutdown; rejects when a worker fails, after the others have ended. */
  run(): Promise<void>;
  /** Takes no more tasks, and gives what runs half a minute. run() resolves when that is over. */
  shutdown(): void;
}

/** Each of them mostly waits, for its turn (activities/start-pace.ts) or for its gateway. */
const STARTS = 200;
/** One per endpoint that something is sent to: each of them mostly waits. */
const WEBHOOK_SLOTS = 500;

export const DEPLOYMENT_NAME = 'thermidora';
const WORKFLOWS_PATH = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** The workflows as Temporal's sandbox runs them. */
export function bundleWorkflows(log: Log) {
  return bundleWorkflowCode({ workflowsPath: WORKFLOWS_PATH, logger: temporalLogger(log) });
}

/** Makes the workers, which begin with run(). Rejects when Temporal refuses them. */
export async function createTemporalWorkers(options: TemporalWorkersOptions): Promise<TemporalWorkers> {
  const { workflowBundle } = options;
  const shared = sharedOptions(options);
  const { nodeId = null } = options;
  const workers = await Promise.all([
    Worker.create({ ...shared, taskQueue: TASK_QUEUES.lifecycle, workflowBundle, maxCachedWorkflows: 200 }),
    Worker.create({ ...shared, taskQueue: TASK_QUEUES.starts, maxConcurrentActivityTaskExecutions: STARTS }),
    ...(nodeId === null ? [] : workersOfNode(shared, nodeId)),
    Worker.create({
      ...shared,
      taskQueue: TASK_QUEUES.maintenance,
      workflowBundle,
      maxCachedWorkflows: 10,
      maxConcurrentActivityTaskExecutions: 4,
    }),
    ...(options.webhookActivities
      ? [
          Worker.create({
            ...shared,
            taskQueue: TASK_QUEUES.webhooks,
            workflowBundle,
            maxCachedWorkflows: 200,
            maxConcurrentActivityTaskExecutions: WEBHOOK_SLOTS,
          }),
        ]
      : []),
  ]);
  const shutdown = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return { run: () => runAll(workers, shutdown), shutdown };
}

function workersOfNode(shared: ReturnType<typeof sharedOptions>, nodeId: number): Promise<Worker>[] {
  return [
    Worker.create({ ...shared, taskQueue: nodeQueue('lifecycle', nodeId) }),
    Worker.create({ ...shared, taskQueue: nodeQueue('starts', nodeId), maxConcurrentActivityTaskExecutions: STARTS }),
    Worker.create({ ...shared, taskQueue: nodeQueue('maintenance', nodeId), maxConcurrentActivityTaskExecutions: 4 }),
  ];
}

function sharedOptions({ connection, namespace, activities, webhookActivities, identity, buildId }: TemporalWorkersOptions) {
  return {
    connection,
    namespace,
    activities: { ...activities, ...webhookActivities },
    ...(identity === undefined ? {} : { identity }),
    // A cancellation travels by heartbeat.
    maxHeartbeatThrottleInterval: '2 seconds',
    shutdownGraceTime: '30 seconds',
    ...(buildId === undefined
      ? {}
      : {
          workerDeploymentOptions: {
            version: { deploymentName: DEPLOYMENT_NAME, buildId },
            useWorkerVersioning: true,
            defaultVersioningBehavior: 'PINNED',
          },
        }),
  } satisfies Partial<WorkerOptions>;
}

async function runAll(workers: readonly Worker[], shutdown: () => void): Promise<void> {
  const runs = workers.map((worker) => worker.run());
  for (const run of runs) run.catch(shutdown);
  const failed = (await Promise.allSettled(runs)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}
