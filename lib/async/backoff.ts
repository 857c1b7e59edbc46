interface BackoffOptions {
  firstMs: number;
  longestMs: number;
}

/** How long to wait before the next try: twice as long after each failure. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  nextMs(): number {
    const { firstMs, longestMs } = this.#options;
    const delayMs = Math.min(firstMs * 2 ** this.#failures, longestMs);
    this.#failures += 1;
    return delayMs;
  }

  reset(): void {
    this.#failures = 0;
  }
}
