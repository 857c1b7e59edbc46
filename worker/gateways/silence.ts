import type { Slowness } from '../../runtime/slowness.ts';

/** How one probe of a gateway went: it was answered, or it was not and this explains it (`silent`: nothing does). */
export type ProbeAnswer = 'answered' | 'silent' | Slowness;

/** What follows from the probes so far. `slow` is longer silent than one that hangs may be. */
export type Verdict = 'answers' | 'waiting' | 'slow' | 'dead';

/** Ten at one per three seconds: half a minute of silence that nothing explains. */
const UNEXPLAINED_PROBES = 10;
/** Three minutes of silence, whatever explains it. */
const LONGEST_SILENCE_PROBES = 60;

/**
 * Judges one gateway by its probes. Silence is counted in probes, never in time, so that a worker that was paused
 * declares nothing dead.
 */
export class Silence {
  #probes = 0;
  #unexplained = 0;

  count(answer: ProbeAnswer): Verdict {
    if (answer === 'answered') {
      this.#probes = 0;
      this.#unexplained = 0;
      return 'answers';
    }
    this.#probes += 1;
    if (answer === 'silent') this.#unexplained += 1;
    if (this.#unexplained >= UNEXPLAINED_PROBES || this.#probes >= LONGEST_SILENCE_PROBES) return 'dead';
    return this.#probes >= UNEXPLAINED_PROBES ? 'slow' : 'waiting';
  }
}
