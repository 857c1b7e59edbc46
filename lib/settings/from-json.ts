import { z } from 'zod';

/** A setting that is written as JSON. It may be given as the value itself, too. */
export function fromJson<Schema extends z.ZodType>(schema: Schema) {
  return z.preprocess((value, context): unknown => {
    if (typeof value !== 'string') return value;
    try {
      return JSON.parse(value);
    } catch {
      context.addIssue('must be JSON');
      return z.NEVER;
    }
  }, schema);
}
