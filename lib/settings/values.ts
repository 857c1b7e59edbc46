import { z } from 'zod';

export const count = z.coerce.number().int().min(1);

/** Comma separated; empty: none. */
export const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean),
  );
