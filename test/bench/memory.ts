import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessName } from '../support/stack-under-test.ts';
import type { Bench } from './bench.ts';

const LIMITS: Record<ProcessName, number> = { api: 150, worker: 350, relay: 120 };

/** Garbage is collected for some seconds after the last call. */
const QUIET_MS = 60_000;

/** Resident memory of each process when it is idle again, after the measurements before this one. */
export const benchMemory: Bench = async ({ stack, say }) => {
  const busy = await residentMegabytes(stack.pidOf('api'));
  await sleep(QUIET_MS);
  say(`  api: ${Math.round(busy)} MB after the last call`);
  const rows = Object.entries(LIMITS).map(async ([name, limit]) => {
    // Object.entries forgets the key type.
    const megabytes = await residentMegabytes(stack.pidOf(name as ProcessName));
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

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
