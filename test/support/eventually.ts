import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/** Only a test that fails waits for so long: far beyond what a busy machine takes. */
const PATIENCE_MS = 60_000;

/** Tries until the assertions hold; throws what they said last when they do not within the time. */
export async function eventually<T>(attempt: () => Promise<T> | T, withinMs = PATIENCE_MS): Promise<T> {
  const giveUp = AbortSignal.timeout(withinMs);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (giveUp.aborted) throw error;
      await sleep(POLL_MS);
    }
  }
}
