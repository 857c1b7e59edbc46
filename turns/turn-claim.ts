import type { PendingTurn } from '../database/messages/pending-turns.ts';

/** Long before another process could take the turn over. */
const FRESH_MS = 1_000;

/**
 * A turn of which this process has just claimed the first attempt: nothing can have become of it, so that it is sent without a look
 * at the database or at the history. It is kept in memory alone: JSON has nothing of it.
 */
export class TurnClaim {
  readonly turn: PendingTurn;
  readonly #madeAt: number;

  /** `madeAt`: before the claim was made, by the monotonic clock. */
  constructor(turn: PendingTurn, madeAt: number) {
    this.turn = turn;
    this.#madeAt = madeAt;
  }

  /** Whether nothing can have become of the turn yet. */
  isFresh(): boolean {
    return performance.now() - this.#madeAt < FRESH_MS;
  }

  toJSON(): undefined {
    return undefined;
  }
}
