/** An event for one waiter at a time. One that is set while nothing waits ends the next wait at once. */
export class AutoResetEvent {
  #isSet = false;
  #wake: (() => void) | null = null;

  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Forgets that it was set. Call it before a look at what the event is about, so that a change after the look ends the next wait. */
  reset(): void {
    this.#isSet = false;
  }

  /** Resolves when the event is set, after `timeoutMs`, or when the signal aborts, and resets the event. */
  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) await this.#setOr(timeoutMs, signal);
    this.#isSet = false;
  }

  #setOr(timeoutMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(end, timeoutMs);
      signal.addEventListener('abort', end);
      this.#wake = end;
    });
  }
}
