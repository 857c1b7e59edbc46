import type { StackUnderTest } from '../support/stack-under-test.ts';
import type { Row } from './table.ts';

export interface BenchContext {
  stack: StackUnderTest;
  rounds: number;
  /** Whether what takes over ten minutes is measured too. */
  isLong: boolean;
  say(sentence: string): void;
}

/** One group of measurements, on a stack that is otherwise idle. */
export type Bench = (context: BenchContext) => Promise<Row[]>;

/** How many milliseconds the work took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}
