import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineLoad } from '../lib/machine-load.ts';

/** Spreads the starts of gateways, each of which takes a whole core for a while, over a machine that is starved. */
export interface StartPace {
  /**
   * Runs this part of a start in its turn: at once on a machine that has CPU time and when no other one runs, else
   * once either is so, after two minutes at the latest. Calls onQueued when it has to wait. Throws when the signal is
   * aborted meanwhile.
   */
  run<T>(options: PaceOptions, work: () => Promise<T>): Promise<T>;
}

interface PaceOptions {
  signal: AbortSignal;
  onQueued: () => Promise<void>;
}

interface Options {
  load: Pick<MachineLoad, 'isStarved'>;
  longestWaitMs?: number;
}

const LONGEST_WAIT_MS = 120_000;
const POLL_MS = 250;

/** One for all starts of a process. */
export function createStartPace({ load, longestWaitMs = LONGEST_WAIT_MS }: Options): StartPace {
  let running = 0;
  const mayBegin = (): boolean => running === 0 || !load.isStarved();
  return {
    async run({ signal, onQueued }, work) {
      if (!mayBegin()) await onQueued();
      const giveUp = AbortSignal.timeout(longestWaitMs);
      while (!mayBegin() && !giveUp.aborted) await sleep(POLL_MS, undefined, { signal });
      running += 1;
      try {
        return await work();
      } finally {
        running -= 1;
      }
    },
  };
}
