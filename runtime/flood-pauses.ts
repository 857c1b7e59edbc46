import { Backoff } from '../lib/async/backoff.ts';

interface Floods {
  pauses: Backoff;
  untilMs: number;
}

const PAUSES = { firstMs: 1_000, longestMs: 30_000 };
/** A connection that lasts so long without a flood makes up for those before. */
const CALM_MS = 60_000;
const REMEMBERED = 1_000;

/** How long no connection is made to gateways that flooded: twice as long after each flood. */
export class FloodPauses {
  readonly #floods = new Map<string, Floods>();

  /** How much longer, in milliseconds; 0 or less: no longer. */
  leftMs(runtimeId: string): number {
    return (this.#floods.get(runtimeId)?.untilMs ?? 0) - performance.now();
  }

  /** Begins the next pause, and answers how long it is in milliseconds. */
  begin(runtimeId: string): number {
    const pauses = this.#floods.get(runtimeId)?.pauses ?? new Backoff(PAUSES);
    const pauseMs = pauses.nextMs();
    this.#floods.delete(runtimeId);
    this.#floods.set(runtimeId, { pauses, untilMs: performance.now() + pauseMs });
    const [oldest] = this.#floods.keys();
    if (this.#floods.size > REMEMBERED && oldest !== undefined) this.#floods.delete(oldest);
    return pauseMs;
  }

  /** A connection lasted for so long. */
  noteLasting(runtimeId: string, forMs: number): void {
    if (forMs >= CALM_MS) this.forget(runtimeId);
  }

  /** Another gateway process begins anew. */
  forget(runtimeId: string): void {
    this.#floods.delete(runtimeId);
  }
}
