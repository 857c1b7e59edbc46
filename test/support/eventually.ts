import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/** Tries until the assertions hold; throws what they said last when they do not within the time. */
export async function eventually<T>(attempt: () => Promise<T> | T, withinMs = 20_000): Promise<T> {
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
