import { setTimeout as sleep } from 'node:timers/promises';

const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 250;
/** What is waited for comes this share of the wait late at most. */
const PAUSE_SHARE = 1 / 20;

/**
 * A deadline is only there to end what hangs: it is far beyond what the start of a gateway or a turn takes on a machine
 * that runs five test files at once.
 */
export const PATIENCE_MS = 240_000;

/** The time limit of each test and hook: longer than `eventually` waits, so that its own words are heard. */
export const TEST_LIMIT_MS = 600_000;

/**
 * Tries until the assertions hold; throws what they said last when they do not within the time. It tries less often the
 * longer it waits, because each try takes processor time from what it waits for.
 */
export async function eventually<T>(attempt: () => Promise<T> | T, withinMs = PATIENCE_MS): Promise<T> {
  const giveUp = AbortSignal.timeout(withinMs);
  const begunAt = performance.now();
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (giveUp.aborted) throw error;
      const waitedMs = performance.now() - begunAt;
      await sleep(Math.min(Math.max(SHORTEST_PAUSE_MS, waitedMs * PAUSE_SHARE), LONGEST_PAUSE_MS));
    }
  }
}
