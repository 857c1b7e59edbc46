/**
 * What each kind of work waits in. A start takes a whole core for some seconds, so starts have slots of their own; and
 * so has the sending to webhooks, whose endpoints may hang.
 */
export const TASK_QUEUES = {
  lifecycle: 'lifecycle',
  starts: 'starts',
  webhooks: 'webhooks',
  maintenance: 'maintenance',
} as const;

export type TaskQueue = (typeof TASK_QUEUES)[keyof typeof TASK_QUEUES];
