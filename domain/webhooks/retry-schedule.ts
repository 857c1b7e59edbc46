const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** The pauses before each further try of a delivery, as the contract promises them. */
const PAUSES_MS = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR] as const;

/** Up to this much longer, so that what failed together does not come back together. */
const JITTER = 0.1;
const FIRST_PROBE_MS = 5 * SECOND;
const LONGEST_PROBE_MS = 5 * MINUTE;
const LONGEST_RETRY_AFTER_MS = 24 * HOUR;

/** From 0 (included) to 1 (excluded). */
export type Random = () => number;

function withJitter(pauseMs: number, random: Random): number {
  return Math.round(pauseMs * (1 + JITTER * random()));
}

/** How long after its failed try number `tries` a delivery is tried again; null when that was the last one. */
export function retryPauseMs(tries: number, random: Random): number | null {
  const pauseMs = PAUSES_MS[tries - 1];
  return pauseMs === undefined ? null : withJitter(pauseMs, random);
}

/** How long a failing endpoint rests before its next probe; the first probe is number 0. */
export function probePauseMs(probe: number, random: Random): number {
  return withJitter(Math.min(FIRST_PROBE_MS * 2 ** Math.min(probe, 10), LONGEST_PROBE_MS), random);
}

const SECONDS = /^\d+(?:\.\d+)?$/;
/** The three forms of a date in HTTP. `Date.parse` alone would take a number such as 32.5 for a month of a year. */
const HTTP_DATES = [
  /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** How long a `Retry-After` (seconds or a date) asks us to wait, in whole seconds and at most a day; null when it says nothing. */
export function retryAfterMs(header: string | null, now: Date): number | null {
  if (header === null) return null;
  const text = header.trim();
  const waitMs = SECONDS.test(text) ? Number(text) * SECOND : parseHttpDate(text) - now.getTime();
  return waitMs > 0 ? Math.min(Math.ceil(waitMs / SECOND) * SECOND, LONGEST_RETRY_AFTER_MS) : null;
}

/** NaN for what is no date of HTTP. */
function parseHttpDate(text: string): number {
  if (!HTTP_DATES.some((form) => form.test(text))) return Number.NaN;
  // The oldest form names no zone; all three are in UTC.
  return Date.parse(text.endsWith(' GMT') ? text : `${text} GMT`);
}
