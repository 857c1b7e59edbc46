/** Work on turns, one piece at a time for each. A failure is handed over and ends nothing else. */
export class TurnTasks {
  readonly #running = new Map<string, Promise<void>>();
  readonly #onFailure: (err: unknown, messageId: string) => void;

  constructor(onFailure: (err: unknown, messageId: string) => void) {
    this.#onFailure = onFailure;
  }

  /** Runs this once what was begun for the same turn before is done. */
  run(messageId: string, task: () => Promise<void>): void {
    const before = this.#running.get(messageId) ?? Promise.resolve();
    const done: Promise<void> = before
      .then(task)
      .catch((err: unknown) => this.#onFailure(err, messageId))
      .finally(() => {
        if (this.#running.get(messageId) === done) this.#running.delete(messageId);
      });
    this.#running.set(messageId, done);
  }

  has(messageId: string): boolean {
    return this.#running.has(messageId);
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }
}
