import { proxyActivities } from '@temporalio/workflow';
import type { WebhookActivities } from '../activities/webhooks/create-webhook-activities.ts';
import { TASK_QUEUES } from '../domain/temporal/task-queues.ts';

/** The activity ends after five minutes plus the time that its last requests take. */
export const { sendDeliveries } = proxyActivities<Pick<WebhookActivities, 'sendDeliveries'>>({
  taskQueue: TASK_QUEUES.webhooks,
  heartbeatTimeout: '10 seconds',
  startToCloseTimeout: '7 minutes',
  // After that a sweep begins anew.
  scheduleToCloseTimeout: '30 minutes',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
  summary: 'send',
});

/** The next sweep is a minute away. */
export const { sweepWebhooks } = proxyActivities<Pick<WebhookActivities, 'sweepWebhooks'>>({
  taskQueue: TASK_QUEUES.maintenance,
  heartbeatTimeout: '10 seconds',
  startToCloseTimeout: '1 minute',
  retry: { maximumAttempts: 2 },
  summary: 'sweep webhooks',
});

/** The next sweep is an hour away. */
export const { sweepRetention } = proxyActivities<Pick<WebhookActivities, 'sweepRetention'>>({
  taskQueue: TASK_QUEUES.maintenance,
  heartbeatTimeout: '10 seconds',
  startToCloseTimeout: '30 minutes',
  retry: { initialInterval: '10 seconds', maximumAttempts: 3 },
  summary: 'sweep retention',
});
