/**
 * What each kind of work waits in. Starts may wait for minutes, so they have slots of their own; and so has the
 * sending to webhooks, whose endpoints may hang.
 */
export const TASK_QUEUES = {
  lifecycle: 'lifecycle',
  starts: 'starts',
  webhooks: 'webhooks',
  maintenance: 'maintenance',
} as const;

export type TaskQueue = (typeof TASK_QUEUES)[keyof typeof TASK_QUEUES];
