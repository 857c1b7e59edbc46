import { setImmediate as others } from 'node:timers/promises';

const SLICE_MS = 1;

/**
 * Carries out work that yields after each small part of it, a millisecond at a time: in between, the event loop does what waits
 * there. Answers what the work returns, and throws what it throws.
 */
export async function inSlices<T>(work: Iterator<unknown, T>): Promise<T> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    do {
      const { done, value } = work.next();
      if (done) return value;
    } while (performance.now() < end);
    await others();
  }
}

/** Carries out the same work at once. */
export function atOnce<T>(work: Iterator<unknown, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
