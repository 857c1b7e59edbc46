import { z } from 'zod';
import { AppError } from '../domain/errors.ts';
import { idPattern } from '../domain/ids.ts';
import type { IdPrefix } from '../domain/ids.ts';
import { parseUsd } from '../domain/money.ts';

/** An id in a path or a body. */
export function idField(prefix: IdPrefix) {
  return z
    .string()
    .regex(idPattern(prefix))
    .meta({ example: `${prefix}_a1b2c3d4e5f6g7h8i9j0` });
}

/** A time in an answer. */
export const timestamp = z.iso.datetime().meta({ example: '2026-04-07T09:00:00.000Z' });

/** A time in a request, with any offset. */
export const givenTime = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .meta({ example: '2030-01-01T00:00:00.000Z' });

/** Addresses are compared trimmed and in lower case. */
export const emailField = z
  .string()
  .trim()
  .toLowerCase()
  .max(254)
  .pipe(z.email())
  .meta({ example: 'user@example.com', override: { format: 'email', maxLength: 254 } });

/** A name for people: 1 to 64 characters after trimming. */
export const nameField = z.string().trim().min(1).max(64);

/** An amount in dollars, as decimal text or a number; parsed to nano-dollars. */
export const amountUsdField = z
  .union([z.string(), z.number()])
  .transform((given, context) => {
    const nanoUsd = parseUsd(String(given));
    if (nanoUsd === null) {
      context.addIssue('Give a decimal amount such as "12.50", not negative, with at most nine decimals.');
      return z.NEVER;
    }
    return nanoUsd;
  })
  .meta({ example: '12.50' });

/** Throws `invalid_request` unless the time of this field is still to come. */
export function requireFuture(field: string, time: Date | undefined, now: Date): void {
  if (time === undefined || time > now) return;
  const message = 'Must be in the future.';
  throw new AppError('invalid_request', `${field}: ${message}`, { details: [{ path: field, message }] });
}
