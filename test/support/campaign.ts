import { randomInt } from 'node:crypto';

/** How many rounds a random campaign runs: three, or ROUNDS of them. */
export function campaignRounds(): number {
  return Number(process.env['ROUNDS'] ?? 3);
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
