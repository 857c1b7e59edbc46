import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resultsPage, withResults } from './render-results.ts';
import { readResults, RESULTS_DIR } from './results.ts';

// Writes what docs/results/ holds into docs/RESULTS.md and README.md.
const root = join(import.meta.dirname, '..');
const results = await readResults(RESULTS_DIR);
const readme = await readFile(join(root, 'README.md'), 'utf8');
await writeFile(join(root, 'docs/RESULTS.md'), resultsPage(results));
await writeFile(join(root, 'README.md'), withResults(readme, results));
