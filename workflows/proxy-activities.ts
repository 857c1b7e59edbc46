import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import type { Step } from '../domain/lifecycle.ts';
import { TASK_QUEUES } from '../domain/task-queues.ts';

/**
 * A step beats each second and hears of its cancellation by that. It has ended before the next one begins. What fails
 * for no reason that it knows is tried three times before it counts as a failure of the instance.
 */
const STEP: ActivityOptions = {
  taskQueue: TASK_QUEUES.lifecycle,
  heartbeatTimeout: '10 seconds',
  startToCloseTimeout: '5 minutes',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds', maximumAttempts: 3 },
};

const { startInstance } = proxyActivities<Pick<Activities, 'startInstance'>>({
  ...STEP,
  taskQueue: TASK_QUEUES.starts,
  // On a busy machine: ten minutes for its turn, and five from the spawn on.
  startToCloseTimeout: '20 minutes',
  summary: 'start',
});
const { stopInstance } = proxyActivities<Pick<Activities, 'stopInstance'>>({ ...STEP, summary: 'stop' });
const { restartInstance } = proxyActivities<Pick<Activities, 'restartInstance'>>({ ...STEP, summary: 'restart' });
const { applyContent } = proxyActivities<Pick<Activities, 'applyContent'>>({ ...STEP, summary: 'apply' });
const { destroyInstance } = proxyActivities<Pick<Activities, 'destroyInstance'>>({
  ...STEP,
  // A large instance takes a while to delete.
  startToCloseTimeout: '30 minutes',
  summary: 'destroy',
});

/** The activity of each step. */
export const steps = {
  start: startInstance,
  stop: stopInstance,
  restart: restartInstance,
  apply: applyContent,
  destroy: destroyInstance,
} satisfies Record<Exclude<Step, 'none'>, unknown>;

/** One look at the database each. While it is away there is nothing better to do than to ask again. */
export const reads = proxyLocalActivities<Pick<Activities, 'readTarget' | 'readPowerGeneration'>>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

/** Must reach the database, however long that takes. */
export const bookkeeping = proxyActivities<Pick<Activities, 'recordStepFailure'>>({
  taskQueue: TASK_QUEUES.lifecycle,
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
  summary: 'record failure',
});
