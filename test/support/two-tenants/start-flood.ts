import { once } from 'node:events';
import { z } from 'zod';
import { forkApart } from './fork-apart.ts';
import type { Answers, FloodName } from './floods.ts';
import type { TenantPlace } from './tenant.ts';

export interface RunningFlood {
  /** Ends it, and says what was answered. */
  stop(): Promise<Answers>;
}

/**
 * Floods from another process: a customer's program.
 */
export function startFlood(name: FloodName, place: TenantPlace): RunningFlood {
  const child = forkApart(new URL('flood-process.ts', import.meta.url));
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the flood ended with ${code}`)));
  ended.catch(() => undefined);
  child.send({ name, place });
  return {
    async stop() {
      const answered = once(child, 'message');
      child.send('stop');
      const [answers] = await Promise.race([answered, ended]);
      return z.record(z.string(), z.number()).parse(answers);
    },
  };
}
