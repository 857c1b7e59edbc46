import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { cacheDirOf } from './cache-dir.ts';

/**
 * The environment in which API, worker and relay start (the Dockerfile has it too). The C library would keep a heap for each of their
 * threads, and hardly anything of those comes back: two take 5 to 20 MB less.
 */
export const SMALL_PROCESS_ENV = { MALLOC_ARENA_MAX: '2' };

const LOOK_MS = 5_000;
/** Shares of the event loop's time. */
const BUSY = 0.1;
const QUIET = 0.02;

/**
 * Limits the memory of a process that holds little data but handles much. By default V8 lets the young generation grow to a
 * hundred megabytes under load, and the old one to several times of what is in use, and gives neither back. The compile cache of
 * this name halves the time to load modules and saves 10 MB. Call it before anything else is loaded.
 */
export function keepSmall(name: 'api' | 'relay', env: NodeJS.ProcessEnv): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=30');
  enableCompileCache(join(cacheDirOf(env), `compile-cache-${name}`));
  // What compiled code takes comes back too, except in the API: its next call would be 4 ms slower.
  collectWhenQuiet(name === 'api' ? 'regular' : 'last-resort');
}

/**
 * Collects garbage once the process has become quiet: V8 itself goes by the allocations of the last busy seconds, and would not.
 * After 'last-resort', compiled code that was not used lately is gone too.
 */
export function collectWhenQuiet(flavor: Flavor): void {
  const gc = collector();
  const collect = (): void => gc({ type: 'major', execution: 'sync', flavor });
  let last = performance.eventLoopUtilization();
  let wasBusy = true;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization > BUSY) wasBusy = true;
    else if (wasBusy && utilization < QUIET) {
      wasBusy = false;
      collect();
    }
  }, LOOK_MS).unref();
}

type Flavor = 'regular' | 'last-resort';
type Collect = (how: { type: 'major'; execution: 'sync'; flavor: Flavor }) => void;

/** V8's `gc`, which Node otherwise exposes only with a flag at the start of the process. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what V8 calls so under this flag
  return runInNewContext('gc') as Collect;
}
