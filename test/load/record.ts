import { percentile } from '../bench/table.ts';

/** What came of one call. The status is null where no answer came. */
export interface Outcome {
  kind: 'read' | 'write' | 'message' | 'power';
  startedAt: number;
  ms: number;
  status: number | null;
  code: string | null;
}

/** A time in which a part was dead or had just come back. */
interface Disturbance {
  what: string;
  from: number;
  until: number;
}

/** After a part has come back, its caches and its just-in-time code are cold for so long. */
const WARM_UP_MS = 5_000;

/** Keeps what happened, and says whether it was as it must be. */
export class Recording {
  readonly #outcomes: Outcome[] = [];
  readonly #disturbances: Disturbance[] = [];

  add(outcome: Outcome): void {
    this.#outcomes.push(outcome);
  }

  /** From now until the answer is called. */
  disturbed(what: string): () => void {
    const disturbance = { what, from: performance.now(), until: Number.POSITIVE_INFINITY };
    this.#disturbances.push(disturbance);
    return () => {
      disturbance.until = performance.now() + WARM_UP_MS;
    };
  }

  /** How many calls were answered, by kind and status. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { kind, status, code } of this.#outcomes) {
      const name = `${kind} ${status ?? 'no answer'}${status !== null && status >= 400 ? ` ${code}` : ''}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
  }

  kills(): Record<string, number> {
    const kills: Record<string, number> = {};
    for (const { what } of this.#disturbances) kills[what] = (kills[what] ?? 0) + 1;
    return kills;
  }

  /** Answers that nobody promised: a 5xx that is no 503 or 504, and none at all although the API was there. */
  problems(): string[] {
    const unexpected = this.#outcomes.filter(
      ({ status }) => status !== null && status >= 500 && status !== 503 && status !== 504,
    );
    const unanswered = this.#outcomes.filter((outcome) => outcome.status === null && !this.#isDisturbed(outcome, 'api'));
    return [
      ...unexpected.map(({ kind, status, code }) => `a ${kind} was answered ${status} ${code}`),
      ...unanswered.map(({ kind, code }) => `a ${kind} was not answered although the API was there: ${code}`),
    ];
  }

  /** Milliseconds of reads while nothing was dead. */
  quietReads(): { count: number; p50: number; p99: number } {
    const values = this.#outcomes.filter((one) => one.kind === 'read' && !this.#isDisturbed(one)).map(({ ms }) => ms);
    return { count: values.length, p50: percentile(values, 0.5), p99: percentile(values, 0.99) };
  }

  #isDisturbed({ startedAt, ms }: Outcome, part?: string): boolean {
    return this.#disturbances.some(
      ({ what, from, until }) => (part === undefined || what === part) && startedAt <= until && startedAt + ms >= from,
    );
  }
}
