import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const FILE = join(import.meta.dirname, 'durations.json');
const durations = z.record(z.string(), z.number());

/** The seconds that each test file took when they were recorded, by its path from the root. */
export function readDurations(): Record<string, number> {
  return durations.parse(JSON.parse(readFileSync(FILE, 'utf8')));
}

/** Takes these in the place of what was recorded of the same files. Of files that are gone nothing is kept. */
export function writeDurations(measured: Readonly<Record<string, number>>, exists: (path: string) => boolean): void {
  const all = Object.entries({ ...readDurations(), ...measured }).filter(([path]) => exists(path));
  const sorted = Object.fromEntries(all.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  writeFileSync(FILE, `${JSON.stringify(sorted, null, 2)}\n`);
}
