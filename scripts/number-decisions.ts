import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { numberDecisions } from './decisions.ts';

// Gives the new entries of docs/decisions.md their number and today's date.
const file = join(import.meta.dirname, '../docs/decisions.md');
const today = new Date().toISOString().slice(0, 10);
await writeFile(
  file,
  numberDecisions(await readFile(file, 'utf8'), () => today),
);
