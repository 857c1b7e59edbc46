/** What is done sooner needs no announcement. */
const ANNOUNCE_MS = 400;
/** A step that takes longer is mentioned again, this often. */
const REMIND_MS = 15_000;

export interface Progress {
  /** Prints one sentence. */
  say(sentence: string): void;
  /** Announces a piece of work, mentions it again while it lasts, and says what came of it and how long it took. */
  step<T>(announcement: string, work: () => Promise<T>, done: (result: T) => string): Promise<T>;
}

/** Tells what the start does, one plain line at a time, so that it reads the same in a terminal and in a file. */
export function createProgress(write: (line: string) => void, now: () => number): Progress {
  return {
    say: write,
    async step(announcement, work, done) {
      const startedAt = now();
      const announcing = setTimeout(() => write(`${announcement} ...`), ANNOUNCE_MS);
      const reminder = setInterval(() => write(`${announcement}, ${seconds(now() - startedAt, 0)} so far ...`), REMIND_MS);
      try {
        const result = await work();
        write(`${done(result)} (${seconds(now() - startedAt, 1)}).`);
        return result;
      } finally {
        clearTimeout(announcing);
        clearInterval(reminder);
      }
    },
  };
}

function seconds(ms: number, digits: number): string {
  return `${(ms / 1000).toFixed(digits)} s`;
}
