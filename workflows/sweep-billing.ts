import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import { TASK_QUEUES } from '../domain/temporal/task-queues.ts';

const activities = proxyActivities<Pick<Activities, 'sweepBilling'>>({
  taskQueue: TASK_QUEUES.maintenance,
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  // After the death of a worker another one goes on within the same minute, so that instances of an account without money are stopped in time.
  retry: { initialInterval: '1 second', maximumAttempts: 5 },
  summary: 'sweep billing',
});

/** Debits what is due, then stops for the rest of its minute whatever has run out of money. */
export async function sweepBilling(): Promise<void> {
  await activities.sweepBilling();
}
