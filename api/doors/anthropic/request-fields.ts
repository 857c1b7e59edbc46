import { z } from 'zod';

/** A field that would change what an agent does and that an agent here cannot have: only its empty form is taken. */
export function unsupported(what: string) {
  const message = `${what} are not supported here. Leave the field out.`;
  return z
    .unknown()
    .optional()
    .refine((value) => value == null || (Array.isArray(value) && value.length === 0), message);
}

/** The title of a session. */
export const titleField = z.string().max(512).nullish();

/** Whether a list has what was archived, too. */
export const includeArchivedField = z
  .enum(['true', 'false'])
  .default('false')
  .transform((given) => given === 'true');

/** Sixteen pairs of texts. */
const MAX_PAIRS = 16;

export const metadataField = z
  .record(z.string().min(1).max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= MAX_PAIRS, `Give at most ${MAX_PAIRS} pairs.`);

/** Pairs to change; null removes one. */
export const metadataChanges = z.record(z.string().min(1).max(64), z.string().max(512).nullable());

/** The pairs with these changes. */
export function changedPairs(
  pairs: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>> | null | undefined,
): Record<string, string> {
  const merged = { ...pairs, ...changes };
  return metadataField.parse(Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null)));
}

/** `types[]=a&types[]=b` of a query. */
export const listParam = z
  .object({ '': z.union([z.string().transform((one) => [one]), z.array(z.string()).max(50)]) })
  .transform((given) => given['']);
