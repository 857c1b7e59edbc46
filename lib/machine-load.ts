import { readFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { isErrno } from './errno.ts';

/** Whether this machine has CPU time to give. */
export interface MachineLoad {
  /** Processes of this machine wait long for CPU time: one that does not answer may only be waiting too. */
  isStarved(): boolean;
  /** Ends the observation. */
  stop(): void;
}

interface Options {
  monotonicMs: () => number;
  /** How many threads of the machine run or wait to run, per core. */
  readLoad?: () => number;
}

/** From this load on each thread runs at a quarter of its speed. Two gateways that start on two cores stay below it. */
const STARVED_LOAD = 4;
/** The load counts as a mean over about this time. */
const MEAN_MS = 10_000;
const BEAT_MS = 500;
/** A timer that is this late shows that this process gets no CPU time, or was paused. */
const LATE_MS = 1_000;
/** For how long a late timer counts. */
const LATE_COUNTS_MS = 10_000;

/** Observes the load of this machine: how many threads want to run, and how late the timers of this process are. */
export function observeMachineLoad({ monotonicMs, readLoad = loadPerCore }: Options): MachineLoad {
  let beatAt = monotonicMs();
  let lateAt = Number.NEGATIVE_INFINITY;
  // The load before this process started is known only from the system's load average.
  let mean = lastMinutePerCore();

  function noteLateness(now: number): void {
    if (now - beatAt >= BEAT_MS + LATE_MS) lateAt = now;
  }

  const timer = setInterval(() => {
    const now = monotonicMs();
    noteLateness(now);
    mean += (readLoad() - mean) * (1 - Math.exp((beatAt - now) / MEAN_MS));
    beatAt = now;
  }, BEAT_MS);
  timer.unref();

  return {
    isStarved() {
      const now = monotonicMs();
      // The late timer may not have fired yet.
      noteLateness(now);
      return mean >= STARVED_LOAD || now - lateAt < LATE_COUNTS_MS;
    },
    stop: () => clearInterval(timer),
  };
}

function lastMinutePerCore(): number {
  const [lastMinute = 0] = loadavg();
  return lastMinute / availableParallelism();
}

/** Where the system does not count running threads, the load average, which is a minute behind. */
function loadPerCore(): number {
  const running = runningThreads();
  return running === null ? lastMinutePerCore() : running / availableParallelism();
}

/** Null elsewhere than on Linux. */
function runningThreads(): number | null {
  try {
    return parseRunningThreads(readFileSync('/proc/loadavg', 'utf8'));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** The threads that run or wait to run by /proc/loadavg, without the one that reads it; null when it does not say. */
export function parseRunningThreads(loadavgFile: string): number | null {
  const [, , , , running] = /^(\S+) (\S+) (\S+) (\d+)\/[1-9]\d*/.exec(loadavgFile) ?? [];
  return running === undefined ? null : Math.max(0, Number(running) - 1);
}
