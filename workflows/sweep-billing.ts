import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import { TASK_QUEUES } from '../domain/task-queues.ts';

const activities = proxyActivities<Pick<Activities, 'sweepBilling'>>({
  taskQueue: TASK_QUEUES.maintenance,
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  // A worker that died is replaced within the same minute: somebody has to watch for money that runs out.
  retry: { initialInterval: '1 second', maximumAttempts: 5 },
  summary: 'sweep billing',
});

/** Debits what is due, then stops for the rest of its minute whatever has run out of money. */
export async function sweepBilling(): Promise<void> {
  await activities.sweepBilling();
}
