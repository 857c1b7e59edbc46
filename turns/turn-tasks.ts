interface TurnTasksOptions {
  /** How many pieces of work run at the same time. */
  atOnce: number;
  /** A failure ends nothing else. */
  onFailure: (err: unknown, name: string) => void;
  /** Called with work that was not taken because too much waits. It must be found again by reading back. */
  onOverflow: () => void;
}

/** How much waits or runs at most. A gateway decides how much there is to do. */
export const MAX_TASKS = 256;

interface Task {
  name: string;
  work: () => Promise<void>;
}

/** Work on what one gateway reports, one piece at a time for each name, a few at once, and never more than a bounded number. */
export class TurnTasks {
  readonly #options: TurnTasksOptions;
  readonly #waiting = new Set<Task>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(options: TurnTasksOptions) {
    this.#options = options;
  }

  /** Runs this once what was begun under the same name before is done. */
  run(name: string, work: () => Promise<void>): void {
    if (this.#waiting.size + this.#running.size >= MAX_TASKS) return this.#options.onOverflow();
    this.#waiting.add({ name, work });
    this.#next();
  }

  /** The same for work that sees all that happened until it begins: none is added behind one that has not begun. */
  runOnce(name: string, work: () => Promise<void>): void {
    if (!this.#waits(name)) this.run(name, work);
  }

  has(name: string): boolean {
    return this.#running.has(name) || this.#waits(name);
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #waits(name: string): boolean {
    return [...this.#waiting].some((task) => task.name === name);
  }

  #next(): void {
    for (const task of this.#waiting) {
      if (this.#running.size >= this.#options.atOnce) return;
      if (this.#running.has(task.name)) continue;
      this.#waiting.delete(task);
      this.#running.set(task.name, this.#do(task));
    }
  }

  async #do({ name, work }: Task): Promise<void> {
    try {
      // Not before the caller has gone on.
      await Promise.resolve();
      await work();
    } catch (err) {
      this.#options.onFailure(err, name);
    } finally {
      this.#running.delete(name);
      this.#next();
    }
  }
}
