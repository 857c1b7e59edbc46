/** Rings for one who waits, also when he was not waiting yet. */
export class Bell {
  #hasRung = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#hasRung = true;
    this.#wake?.();
  }

  /** What has rung so far is dealt with. */
  hush(): void {
    this.#hasRung = false;
  }

  /** Resolves when it rings, at once when it has rung, or after this long. */
  async rung(withinMs: number): Promise<void> {
    if (this.#hasRung) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}
