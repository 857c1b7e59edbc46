export interface Poller {
  /** Looks now, or right after the look that is under way. */
  wake(): void;
  /** Resolves when the last look is over. */
  stop(): Promise<void>;
}

interface PollerOptions {
  everyMs: number;
  /** At least this long between two looks, however often it is woken. */
  restMs?: number;
  look: () => Promise<void>;
  onError: (error: unknown) => void;
}

/** Looks for work every `everyMs` and when woken, one look at a time. */
export function startPoller({ everyMs, restMs = 0, look, onError }: PollerOptions): Poller {
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> | null = null;
  let isWoken = false;
  let isStopped = false;

  function run(): void {
    clearTimeout(timer);
    isWoken = false;
    current = look()
      .catch(onError)
      .finally(() => {
        current = null;
        if (!isStopped) timer = setTimeout(run, isWoken ? restMs : everyMs);
      });
  }

  timer = setTimeout(run);
  return {
    wake() {
      if (isStopped || isWoken) return;
      isWoken = true;
      if (current) return;
      clearTimeout(timer);
      timer = setTimeout(run, restMs);
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await current;
    },
  };
}
