import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import type { WorkingStep } from '../domain/lifecycle.ts';
import { nodeQueue, TASK_QUEUES } from '../domain/temporal/task-queues.ts';

/**
 * A step beats each second and hears of its cancellation by that. It has ended before the next one begins. What fails
 * for no reason that it knows is tried three times before it counts as a failure of the instance.
 */
const STEP: ActivityOptions = {
  heartbeatTimeout: '10 seconds',
  startToCloseTimeout: '5 minutes',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds', maximumAttempts: 3 },
};

/** What a node has no worker for is looked at again: its runtimes may be on another one by then. */
const UNTAKEN = '5 minutes';

/** Where the work of a node waits. Runs from before there were nodes have none, and steps whose runtime is on none yet. */
function queueOf(queue: 'lifecycle' | 'starts', nodeId: number | null | undefined): ActivityOptions {
  if (nodeId === null || nodeId === undefined) return { taskQueue: TASK_QUEUES[queue] };
  return { taskQueue: nodeQueue(queue, nodeId), scheduleToStartTimeout: UNTAKEN };
}

/** The activity of each step, done by a worker of this node. */
export function stepsOn(nodeId: number | null | undefined) {
  const step: ActivityOptions = { ...STEP, ...queueOf('lifecycle', nodeId) };
  const { startInstance } = proxyActivities<Pick<Activities, 'startInstance'>>({
    ...STEP,
    ...queueOf('starts', nodeId),
    // On a busy machine: ten minutes for its turn, and five from the spawn on.
    startToCloseTimeout: '20 minutes',
    summary: 'start',
  });
  const { stopInstance } = proxyActivities<Pick<Activities, 'stopInstance'>>({ ...step, summary: 'stop' });
  const { restartInstance } = proxyActivities<Pick<Activities, 'restartInstance'>>({ ...step, summary: 'restart' });
  const { applyContent } = proxyActivities<Pick<Activities, 'applyContent'>>({ ...step, summary: 'apply' });
  const { sleepInstance } = proxyActivities<Pick<Activities, 'sleepInstance'>>({ ...step, summary: 'sleep' });
  const { destroyInstance } = proxyActivities<Pick<Activities, 'destroyInstance'>>({
    ...step,
    // A large instance takes a while to delete.
    startToCloseTimeout: '30 minutes',
    summary: 'destroy',
  });
  const { vacateInstance } = proxyActivities<Pick<Activities, 'vacateInstance'>>({ ...step, summary: 'vacate' });
  const { moveInstance } = proxyActivities<Pick<Activities, 'moveInstance'>>({
    ...step,
    // A whole disk is copied.
    startToCloseTimeout: '1 hour',
    summary: 'move',
  });
  return {
    start: startInstance,
    stop: stopInstance,
    restart: restartInstance,
    apply: applyContent,
    sleep: sleepInstance,
    destroy: destroyInstance,
    vacate: vacateInstance,
    move: moveInstance,
  } satisfies Record<WorkingStep, unknown>;
}

/** One look at the database each. While it is away there is nothing better to do than to ask again. */
export const reads = proxyLocalActivities<Pick<Activities, 'readTarget' | 'readPowerGeneration' | 'readNodes'>>({
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds' },
});

/** Must reach the database, however long that takes. */
export function bookkeepingOn(nodeId: number | null | undefined) {
  return proxyActivities<Pick<Activities, 'recordStepFailure'>>({
    ...queueOf('lifecycle', nodeId),
    // For as long as it takes a worker to be there.
    scheduleToStartTimeout: '1 hour',
    startToCloseTimeout: '1 minute',
    scheduleToCloseTimeout: '1 hour',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
    summary: 'record failure',
  });
}
