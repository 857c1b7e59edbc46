import { setTimeout as sleep } from 'node:timers/promises';
import { ApiAwayError, ApiError } from './api.ts';

/** An API server that is away says nothing of the instance: a change waits for it, within what a step may take. */
const AWAY_MS = 120_000;
/** One that has just been started refuses everything until it has read who has which rights. */
const READING_MS = 15_000;
const POLL_MS = 1_000;

/** Makes the first call of a change, which may be repeated, once the API server answers. Throws what it answers then. */
export async function awaitServer(first: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const since = performance.now();
  for (;;) {
    try {
      return await first();
    } catch (error) {
      if (performance.now() - since > patienceWith(error)) throw error;
      await sleep(POLL_MS, undefined, { signal });
    }
  }
}

function patienceWith(error: unknown): number {
  if (error instanceof ApiAwayError) return AWAY_MS;
  if (!(error instanceof ApiError)) return 0;
  if (error.status >= 500) return AWAY_MS;
  return error.status === 403 && error.message.includes('cannot ') ? READING_MS : 0;
}
