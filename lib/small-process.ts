import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { cacheDirOf } from './cache-dir.ts';

const LOOK_MS = 5_000;
/** Of the young generation: both of its halves. */
const YOUNG_BYTES = 8 * 1024 ** 2;
/** Shares of the event loop's time. */
const BUSY = 0.1;
const QUIET = 0.02;
/** From the size at the start of a process to that one at once. */
const GROWTH = 4;
/** Of 8 KB: ends the growing, should V8 keep to another rule. */
const MOST_IN_USE = 1_000;

/**
 * Limits the memory of a process that holds little data but handles much. By default V8 lets the young generation grow to a
 * hundred megabytes under load, and the old one to several times of what is in use, and gives neither back. Here the young one has
 * 8 MB while the process is busy: in the 2 MB that it begins with, a single message would be collected four times. The compile cache of
 * this name halves the time to load modules and saves 10 MB. Call it before anything else is loaded.
 */
export function keepSmall(name: 'api' | 'relay', env: NodeJS.ProcessEnv): void {
  growYoung();
  setFlagsFromString('--heap-growing-percent=30');
  enableCompileCache(join(cacheDirOf(env), `compile-cache-${name}`));
  collectWhenQuiet();
}

/** Collects garbage once the process has become quiet: V8 itself goes by the allocations of the last busy seconds, and would not. */
function collectWhenQuiet(): void {
  const collect = collector();
  let last = performance.eventLoopUtilization();
  let wasBusy = true;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    if (utilization > BUSY) {
      wasBusy = true;
      growYoung();
    } else if (wasBusy && utilization < QUIET) {
      wasBusy = false;
      collect();
    }
  }, LOOK_MS).unref();
}

/**
 * Makes the young generation as large as it may be, unless it is: a collection of a quiet process makes it small again. V8 makes it
 * larger while much of it is in use, which takes a few milliseconds here, and has no limit that can be set once a process runs.
 */
function growYoung(): void {
  setFlagsFromString(`--semi-space-growth-factor=${GROWTH}`);
  const inUse: number[][] = [];
  while (youngBytes() < YOUNG_BYTES && inUse.length < MOST_IN_USE)
    for (let count = 0; count < 50; count += 1) inUse.push(Array.from({ length: 1_000 }, () => 0));
  setFlagsFromString('--semi-space-growth-factor=1');
}

function youngBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space')?.space_size ?? YOUNG_BYTES;
}

/** V8's `gc`, which Node otherwise exposes only with a flag at the start of the process. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what V8 calls so under this flag
  return runInNewContext('gc') as () => void;
}
