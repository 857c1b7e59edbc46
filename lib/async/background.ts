import type { Log } from '../log.ts';

/** Work that no request waits for, but that a drain lets finish. */
export interface Background {
  /** Starts the task. A failure is logged under this name and goes nowhere else. */
  run(name: string, log: Log, task: () => Promise<void>): void;
  /** Resolves when everything that was started has ended. */
  idle(): Promise<void>;
}

/** Tracks the tasks that run beside requests. */
export function createBackground(): Background {
  const running = new Set<Promise<void>>();
  return {
    run(name, log, task) {
      const promise: Promise<void> = task()
        .catch((err: unknown) => log.error({ err, task: name }, 'a background task failed'))
        .finally(() => running.delete(promise));
      running.add(promise);
    },
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
