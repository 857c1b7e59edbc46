import { patched, proxyActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import { nodeQueue, TASK_QUEUES } from '../domain/temporal/task-queues.ts';
import { reads } from './proxy-activities.ts';

const SWEEP: ActivityOptions = {
  taskQueue: TASK_QUEUES.maintenance,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  // The next sweep is a minute away.
  retry: { maximumAttempts: 2 },
  summary: 'sweep drift',
};
/** Runs from before that had one sweep: their histories are replayed as they were. */
const SWEEPS_EACH_NODE = 'sweeps-each-node';

/** Finds instances and runtimes that are not as they should be and that nobody works on: on each node what it has. */
export async function sweepDrift(): Promise<void> {
  const nodes = patched(SWEEPS_EACH_NODE) ? await reads.readNodes() : [];
  if (nodes.length === 0) return sweep(SWEEP);
  const sweeps = nodes.map((nodeId) =>
    sweep({ ...SWEEP, taskQueue: nodeQueue('maintenance', nodeId), scheduleToStartTimeout: '1 minute' }),
  );
  const failed = (await Promise.allSettled(sweeps)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

async function sweep(options: ActivityOptions): Promise<void> {
  await proxyActivities<Pick<Activities, 'sweepDrift'>>(options).sweepDrift();
}
