import { setTimeout as sleep } from 'node:timers/promises';
import { residentMiB } from '../support/resident-memory.ts';
import type { ProcessName } from '../support/stack-under-test.ts';
import type { Bench } from './bench.ts';

const LIMITS: Record<ProcessName, number> = { api: 150, worker: 350, relay: 120 };

/** Garbage is collected for some seconds after the last call. */
const QUIET_MS = 60_000;

/** Resident memory of each process when it is idle again, after the measurements before this one. */
export const benchMemory: Bench = async ({ stack, say }) => {
  say(`  api: ${Math.round(await residentMiB(stack.pidOf('api')))} MB after the last call`);
  await sleep(QUIET_MS);
  const rows = Object.entries(LIMITS).map(async ([name, limit]) => {
    // Object.entries forgets the key type.
    const megabytes = await residentMiB(stack.pidOf(name as ProcessName));
    return {
      what: `resident memory: ${name}`,
      values: [megabytes],
      unit: 'MB' as const,
      goal: `<= ${limit}`,
      reached: megabytes <= limit,
    };
  });
  return Promise.all(rows);
};
