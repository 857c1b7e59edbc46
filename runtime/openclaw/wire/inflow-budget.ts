/** How much one connection may bring in. */
export interface InflowLimits {
  bytesPerSecond: number;
  framesPerSecond: number;
  /** How long the connection may go on bringing in more than that before it counts as flooded, in milliseconds. */
  behindMs: number;
}

/**
 * Several times what a gateway says whose agents answer eight long turns at once: it repeats the text so far with each
 * word.
 */
export const INFLOW: InflowLimits = { bytesPerSecond: 16 * 1024 ** 2, framesPerSecond: 2_000, behindMs: 60_000 };

/** What may come at once after a rest. */
const BURST_MS = 2_000;
/** Half of it unused is a rest. */
const REST_MS = BURST_MS / 2;
/** The shortest pause, so that a socket is not paused and resumed for each frame. */
const PAUSE_MS = 50;

/**
 * The allowance of one connection: each frame takes as long as its bytes, or it as one of many frames, may take. Times
 * are milliseconds of a monotonic clock.
 */
export class InflowBudget {
  readonly #limits: InflowLimits;
  /** Until when the frames that came have used the allowance up. */
  #usedUntil = -Infinity;
  #behindSince: number | null = null;

  constructor(limits: InflowLimits) {
    this.#limits = limits;
  }

  /** Takes a frame in. Says how long nothing more may be read, 0 mostly, and whether that has been so for too long. */
  take(bytes: number, nowMs: number): { pauseMs: number; isFlood: boolean } {
    const { bytesPerSecond, framesPerSecond, behindMs } = this.#limits;
    if (this.#usedUntil <= nowMs - REST_MS) this.#behindSince = null;
    const costMs = Math.max(bytes / bytesPerSecond, 1 / framesPerSecond) * 1_000;
    this.#usedUntil = Math.max(this.#usedUntil, nowMs - BURST_MS) + costMs;
    if (this.#usedUntil <= nowMs) return { pauseMs: 0, isFlood: false };
    this.#behindSince ??= nowMs;
    return { pauseMs: this.#usedUntil - nowMs + PAUSE_MS, isFlood: nowMs - this.#behindSince >= behindMs };
  }
}
