import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { idPattern } from '../../domain/ids.ts';
import type { IdPrefix } from '../../domain/ids.ts';
import { parseUsd } from '../../domain/money/money.ts';
import { invalidRequest } from './invalid-request.ts';

/** An id in a path or a body. */
export function idField(prefix: IdPrefix) {
  return z
    .string()
    .regex(idPattern(prefix))
    .meta({ example: `${prefix}_a1b2c3d4e5f6g7h8i9j0` });
}

/** A time in an answer. */
export const timestamp = z.iso.datetime().meta({ example: '2026-04-07T09:00:00.000Z' });

/** The last moment that a time in ISO 8601 with a year of four digits can name. */
export const LAST_TIME_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A + that a query did not escape is a space. */
const LOST_PLUS = /T\S* \d\d:?\d\d$/;
const WRITE_PLUS = 'In a URL, write the + of the offset as %2B, such as 2026-04-07T09:00:00%2B02:00.';

/** A time in a request, with any offset, as it was written; in UTC within the years 1970 to 9999. */
export const givenTimeText = z.iso
  .datetime({ offset: true, abort: true, error: ({ input }) => (LOST_PLUS.test(String(input)) ? WRITE_PLUS : undefined) })
  .refine((text) => Date.parse(text) >= 0 && Date.parse(text) <= LAST_TIME_MS, 'Must be in the years 1970 to 9999, in UTC.');

/** The same as a date. */
export const givenTime = givenTimeText.transform((text) => new Date(text)).meta({ example: '2030-01-01T00:00:00.000Z' });

/** zod's pattern, but the last label may be of another script (`xn--`), and each label has at most the 63 characters of DNS. */
const EMAIL = /^(?!\.)(?!.*\.\.)[a-z\d_'+.-]*[a-z\d_+-]@(?:[a-z\d][a-z\d-]{0,62}\.)+(?:[a-z]{2,63}|xn--[a-z\d-]{1,59})$/;

/** Addresses are compared and stored trimmed, in lower case and with the ASCII form of their domain. */
export const emailField = z
  .string()
  .trim()
  .toLowerCase()
  .max(254)
  .transform(withAsciiDomain)
  .pipe(z.email({ pattern: EMAIL }).max(254))
  .meta({ example: 'user@example.com', override: { format: 'email', maxLength: 254 } });

/** `m\u00fcnchen.example` becomes `xn--mnchen-3ya.example`. What cannot be a domain is not changed: the pattern refuses it. */
function withAsciiDomain(address: string): string {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1);
  // domainToASCII would stop at an ASCII character that no domain can have.
  if (!/[^\0-\x7f]/.test(domain) || /[\0-\x7f]/.test(domain.replaceAll(/[a-z\d.-]/g, ''))) return address;
  return `${address.slice(0, at + 1)}${domainToASCII(domain) || domain}`;
}

/** The code of a mail. */
export const loginCodeField = z
  .string()
  .trim()
  .regex(/^\d{6}$/, 'Give the six-digit code from the email.');

/** Line ends and what no keyboard writes. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
/** Anything that shows: no blank, nothing of zero width, no blank of braille. */
const VISIBLE = /[^\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\u2800]/u;

/** The text of this field is one line that shows something. */
export function oneLine(field: z.ZodString): z.ZodString {
  return field.superRefine((text, context) => {
    if (CONTROL.test(text)) context.addIssue('Leave out line ends and other control characters.');
    else if (text !== '' && !VISIBLE.test(text)) context.addIssue('Use at least 1 character that can be seen.');
  });
}

/** A name for people: 1 to 64 characters after trimming, in one line. */
export const nameField = oneLine(z.string().trim().min(1).max(64));

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
  throw invalidRequest([{ path: field, message }]);
}
