import { z } from 'zod';

/** A number of tokens as a provider may report it. */
export const tokens = z
  .number()
  .int()
  .min(0)
  .max(2 ** 31 - 1);

/** How many bytes the texts within a value have, without those of the named fields, which the model has not written. */
export function bytesOfTexts(value: unknown, but: ReadonlySet<string>): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 0;
  return Object.entries(value).reduce((sum, [name, part]) => sum + (but.has(name) ? 0 : bytesOfTexts(part, but)), 0);
}
