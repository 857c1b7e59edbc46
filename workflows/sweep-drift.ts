import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import { TASK_QUEUES } from '../domain/task-queues.ts';

const activities = proxyActivities<Pick<Activities, 'sweepDrift'>>({
  taskQueue: TASK_QUEUES.maintenance,
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '10 seconds',
  // The next sweep is a minute away.
  retry: { maximumAttempts: 2 },
  summary: 'sweep drift',
});

/** Finds instances and runtimes that are not as they should be and that nobody works on. */
export async function sweepDrift(): Promise<void> {
  await activities.sweepDrift();
}
