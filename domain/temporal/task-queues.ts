/**
 * The task queue of each kind of work. Starts have separate slots because they may wait for minutes, and deliveries to
 * webhooks because their endpoints may hang.
 */
export const TASK_QUEUES = {
  lifecycle: 'lifecycle',
  starts: 'starts',
  webhooks: 'webhooks',
  maintenance: 'maintenance',
} as const;

/** Work on what a node has waits for a worker of that node. */
export function nodeQueue(queue: 'lifecycle' | 'starts' | 'maintenance', nodeId: number): string {
  return `${queue}/${nodeId}`;
}

export type TaskQueue = (typeof TASK_QUEUES)[keyof typeof TASK_QUEUES];
