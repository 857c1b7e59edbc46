import type { Operation } from '../contract/define-operation.ts';
import type { Door } from '../http/door.ts';
import { ANTHROPIC_DOOR } from './anthropic/door.ts';
import { anthropicOperations } from './anthropic/operations.ts';
import { OPENAI_DOOR } from './openai/door.ts';
import { openaiOperations } from './openai/operations.ts';

/** A door with the operations behind it. */
export interface OpenDoor {
  door: Door;
  operations: readonly Operation[];
}

/** The doors for clients of other services. Our own document describes none of them: those services do. */
export const OTHER_DOORS: readonly OpenDoor[] = [
  { door: OPENAI_DOOR, operations: openaiOperations },
  { door: ANTHROPIC_DOOR, operations: anthropicOperations },
];
