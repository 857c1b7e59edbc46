import { hostname } from 'node:os';
import { z } from 'zod';

/** By default the name that the machine has itself. */
export const nodeName = z
  .string()
  .regex(/^\S{1,253}$/, 'must be a name without blanks')
  .default(() => hostname());
