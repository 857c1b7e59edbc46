import { fork } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Answers, FloodName } from './floods.ts';
import type { TenantPlace } from './tenant.ts';

export interface RunningFlood {
  /** Ends it, and says what was answered. */
  stop(): Promise<Answers>;
}

/**
 * Floods from a process of its own that gives way to all others: a customer's program runs on a machine of its own, and here
 * it must not take CPU time of what is measured.
 */
export function startFlood(name: FloodName, place: TenantPlace): RunningFlood {
  const child = fork(fileURLToPath(new URL('flood-process.ts', import.meta.url)), { execArgv: [] });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
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
