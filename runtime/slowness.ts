import type { MachineLoad } from '../lib/machine-load.ts';
import type { RuntimeDriver } from './driver.ts';

/**
 * Why a gateway that does not answer may be well: `busy` when its process uses the CPU, `starved` when the machine has
 * no CPU time for it.
 */
export type Slowness = 'busy' | 'starved';

export interface SlownessMeter {
  /** What explains that the gateway has not answered since the last reading; null when nothing does. Never rejects. */
  read(): Promise<Slowness | null>;
}

export interface SlownessDeps {
  driver: Pick<RuntimeDriver, 'activityOf'>;
  load: Pick<MachineLoad, 'isStarved'>;
  monotonicMs: () => number;
}

/** Of one core. An idle gateway uses less, and one that works uses more wherever there is CPU time to be had. */
const BUSY_SHARE = 0.05;

/** Tells a gateway that is slow from one that hangs. On a machine that is not starved the first reading is always null. */
export function createSlownessMeter({ driver, load, monotonicMs }: SlownessDeps, runtimeId: string): SlownessMeter {
  let last: { cpuMs: number; atMs: number } | null = null;
  return {
    async read() {
      const activity = await driver.activityOf(runtimeId).catch(() => 'unknown' as const);
      const before = last;
      last = activity === null || activity === 'unknown' ? null : { cpuMs: activity.cpuMs, atMs: monotonicMs() };
      // No load explains that a process is gone or was stopped.
      if (activity === null || (activity !== 'unknown' && activity.isFrozen)) return null;
      if (load.isStarved()) return 'starved';
      if (!before || !last) return null;
      return last.cpuMs - before.cpuMs >= BUSY_SHARE * (last.atMs - before.atMs) ? 'busy' : null;
    },
  };
}
