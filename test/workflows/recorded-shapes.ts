import { join } from 'node:path';

/** The control flows of the workflows, each with a recorded history of its own. */
export const SHAPES = [
  'apply',
  'deliver',
  'deliver-retry',
  'deliver-wake',
  'destroy',
  'destroy-during-start',
  'drift-repair',
  'failing-start-to-error',
  'newer-generation-during-a-step',
  'restart',
  'start',
  'stop',
  'sweep-billing',
  'sweep-retention',
  'sweep-webhooks',
] as const;

export type Shape = (typeof SHAPES)[number];

export const HISTORIES_DIR = join(import.meta.dirname, 'histories');
