import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BASE_PATH } from '../api/http/base-path.ts';
import { createOpenapi } from '../api/contract/openapi.ts';
import { operations } from '../api/operations/index.ts';
import { breakingChanges } from './breaking-changes.ts';

// Writes openapi.json, unless that would break a client of the one that is there. `--breaking` writes it all the same.
const file = join(import.meta.dirname, '../openapi.json');
const document = createOpenapi(operations, BASE_PATH);
const before = await readFile(file, 'utf8').catch(() => null);
const changes = before === null ? [] : breakingChanges(JSON.parse(before), document);
if (changes.length > 0 && !process.argv.includes('--breaking')) {
  process.stderr.write(
    `openapi.json is not written, because clients of the API would break:\n${changes.map((line) => `  ${line}\n`).join('')}`,
  );
  process.exitCode = 1;
} else await writeFile(file, `${JSON.stringify(document, null, 2)}\n`);
