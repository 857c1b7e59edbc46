import { once } from 'node:events';
import { z } from 'zod';
import { forkApart } from './fork-apart.ts';

export interface RunningProvider {
  /** For MODEL_UPSTREAM_URL. */
  url: string;
  close(): Promise<void>;
}

/**
 * A provider of models in a process that gives way to all others, as floods have: what it does with the calls of one customer must
 * not delay the program that measures the other one.
 */
export async function startProvider(): Promise<RunningProvider> {
  const child = forkApart(new URL('provider-process.ts', import.meta.url));
  const ended = once(child, 'exit');
  const [url] = await Promise.race([
    once(child, 'message'),
    ended.then(([code]) => Promise.reject(new Error(`the provider ended with ${code}`))),
  ]);
  return {
    url: z.url().parse(url),
    async close() {
      child.disconnect();
      await ended;
    },
  };
}
