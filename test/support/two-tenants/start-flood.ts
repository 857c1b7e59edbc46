import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { Answers, FloodName } from './floods.ts';
import type { TenantPlace } from './tenant.ts';

export interface RunningFlood {
  /** Ends it, and says what was answered. */
  stop(): Promise<Answers>;
}

/** Floods from a thread of its own, so that whoever measures beside it does not wait for it. */
export function startFlood(name: FloodName, place: TenantPlace): RunningFlood {
  const thread = new Worker(fileURLToPath(new URL('flood-thread.ts', import.meta.url)), { workerData: { name, place } });
  const failed = once(thread, 'error').then(([error]) => Promise.reject(error));
  failed.catch(() => undefined);
  return {
    async stop() {
      const answered = once(thread, 'message');
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      thread.postMessage('stop');
      const [answers] = await Promise.race([answered, failed]);
      await thread.terminate();
      return z.record(z.string(), z.number()).parse(answers);
    },
  };
}
