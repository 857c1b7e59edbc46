import { randomInt } from 'node:crypto';
import { join, relative } from 'node:path';
import { keepResult } from '../../scripts/results.ts';

const ROOT = join(import.meta.dirname, '../..');

/** How many rounds a random campaign runs: one, or ROUNDS of them. */
export function campaignRounds(): number {
  return Number(process.env['ROUNDS'] ?? 1);
}

export interface Dice {
  seed: number;
  /** A number from 0 (included) to 1 (excluded). */
  next(): number;
  /** A whole number from 0 to below the limit. */
  below(limit: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** Repeatable chance: SEED or a new seed, which is printed so that a failing run can be repeated. */
export function createDice(campaign: string): Dice {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
  process.stderr.write(`${campaign}: SEED=${seed}\n`);
  let state = seed;
  // mulberry32: 32 bits of state are plenty for choosing moments.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    seed,
    next,
    below,
    pick<T>(choices: readonly T[]): T {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new Error('nothing to choose from');
      return choice;
    },
  };
}

interface Passed {
  name: string;
  seed: number;
  /** What was counted, by a name of one word in lower case. */
  counts: Record<string, number>;
  /** What was done and found, as one clause. */
  outcome: string;
  /** The file of the campaign's test, from which its command is made; or the command itself. */
  file?: string;
  command?: string;
}

/** How many there were of each, as text: "api 7, worker 13". */
export function describeCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** Prints what a campaign that has passed did; with RESULTS_DIR set, keeps it there as JSON too. */
export async function reportCampaign({ name, seed, counts, outcome, file = '', command }: Passed): Promise<void> {
  process.stderr.write(`${name}: ${outcome}\n`);
  const { RESULTS_DIR } = process.env;
  if (RESULTS_DIR === undefined) return;
  const again = command ?? `ROUNDS=${campaignRounds()} SEED=${seed} npm test -- ${relative(ROOT, file)}`;
  await keepResult(RESULTS_DIR, { kind: 'campaign', name, seed, counts, outcome, command: again }, new Date());
}
