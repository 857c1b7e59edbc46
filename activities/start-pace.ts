import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MachineLoad } from '../lib/machine-load.ts';

/** Shares the CPU time of this machine among the starts of gateways, each of which takes a whole core for a while. */
export interface StartPace {
  /**
   * Runs this part of a start in its turn. As many starts have a turn as there are cores, and one where the machine is
   * starved. The account with the fewest turns gets the next one, for the start of it that has waited longest. A start
   * that takes long gives its turn to others and goes on. Calls onQueued when it has to wait. Throws QueuedTooLongError
   * after ten minutes of waiting, and when the signal is aborted meanwhile.
   */
  run<T>(options: PaceOptions, work: () => Promise<T>): Promise<T>;
  /** `waiting`: a start waits for its turn. `busy`: some have theirs. */
  state(): 'idle' | 'busy' | 'waiting';
}

interface PaceOptions {
  accountId: string;
  signal: AbortSignal;
  onQueued: () => Promise<void>;
}

interface Options {
  load: Pick<MachineLoad, 'isStarved'>;
  monotonicMs: () => number;
  cores?: number;
  turnMs?: number;
  longestWaitMs?: number;
}

interface Start {
  accountId: string;
  /** Its turn; null: it waits for one. */
  beganAt: number | null;
}

const LONGEST_WAIT_MS = 10 * 60_000;
/** A gateway that has not begun to answer by then waits for something else than CPU time. */
const TURN_MS = 30_000;
/** Where all take long, they would only keep each other waiting. */
const STARVED_TURN_MS = 120_000;
const POLL_MS = 250;

/** The machine is too busy for another start. Nothing is wrong with the instance: it queues again. */
export class QueuedTooLongError extends Error {}

/** One for all starts of a process. */
export function createStartPace(options: Options): StartPace {
  const { load, monotonicMs, cores = availableParallelism(), turnMs = TURN_MS, longestWaitMs = LONGEST_WAIT_MS } = options;
  // In the order in which they came.
  const starts = new Set<Start>();

  const turns = (): Start[] => {
    const lastsMs = load.isStarved() ? STARVED_TURN_MS : turnMs;
    return [...starts].filter(({ beganAt }) => beganAt !== null && monotonicMs() - beganAt < lastsMs);
  };
  const mayBegin = (start: Start): boolean => {
    const taken = turns();
    return taken.length < (load.isStarved() ? 1 : cores) && nextOf([...starts], taken) === start;
  };

  return {
    state() {
      if (starts.size === 0) return 'idle';
      return [...starts].some(({ beganAt }) => beganAt === null) ? 'waiting' : 'busy';
    },
    async run({ accountId, signal, onQueued }, work) {
      const start: Start = { accountId, beganAt: null };
      starts.add(start);
      try {
        if (!mayBegin(start)) await onQueued();
        const giveUp = AbortSignal.timeout(longestWaitMs);
        while (!mayBegin(start)) {
          if (giveUp.aborted) throw new QueuedTooLongError('The start has waited too long for its turn');
          await sleep(POLL_MS, undefined, { signal });
        }
        start.beganAt = monotonicMs();
        return await work();
      } finally {
        starts.delete(start);
      }
    },
  };
}

/** Of those that wait, the first one of the account that has the fewest turns. */
function nextOf(starts: readonly Start[], turns: readonly Start[]): Start | undefined {
  const turnsOf = (of: Start): number => turns.filter(({ accountId }) => accountId === of.accountId).length;
  const waiting = starts.filter(({ beganAt }) => beganAt === null);
  return waiting.toSorted((one, other) => turnsOf(one) - turnsOf(other))[0];
}
