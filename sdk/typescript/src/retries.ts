import { ApiError, ApiConnectionError } from './errors.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;
const LONGEST_RETRY_AFTER_MS = 60_000;
/** A proxy before the API answers these while the API restarts. */
const PASSING = new Set([408, 429, 502, 503, 504]);

/** A failed attempt of a call. */
export interface Failure {
  error: ApiError | ApiConnectionError;
  /** From `Retry-After`, in milliseconds. */
  retryAfterMs: number | null;
  /** Whether the answer was the API's own. */
  isFromApi: boolean;
}

/** Whether the same call may be sent again, given that the API does its work once at most. */
export function isWorthRepeating({ error, retryAfterMs, isFromApi }: Failure): boolean {
  if (retryAfterMs !== null && retryAfterMs > LONGEST_RETRY_AFTER_MS) return false;
  if (error instanceof ApiConnectionError) return true;
  return isFromApi ? error.retryable : PASSING.has(error.status);
}

/** The first call with this Idempotency-Key still does its work: its answer comes later, however often one has to ask. */
export function isStillRunning({ error, isFromApi }: Failure): boolean {
  return isFromApi && error instanceof ApiError && error.code === 'conflict' && error.retryable;
}

/** How long to wait before this retry (0 is the first): what the API asks for, else doubling and random. */
export function pauseMs(retry: number, { retryAfterMs }: Pick<Failure, 'retryAfterMs'>): number {
  if (retryAfterMs !== null) return retryAfterMs;
  const longest = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(retry, 10), LONGEST_PAUSE_MS);
  return longest / 2 + (Math.random() * longest) / 2;
}

/** Waits; rejects with the reason of the signal when it aborts. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
