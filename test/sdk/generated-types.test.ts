import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { generateTypes, readDocument } from '../../scripts/sdk/generate.ts';
import { ensureGenerators } from '../../scripts/sdk/generators.ts';

const ROOT = join(import.meta.dirname, '../..');

test('the types of the client libraries are those of openapi.json: `npm run sdk` writes them', async () => {
  const generators = await ensureGenerators(cacheDirOf(process.env));
  for (const [path, text] of await generateTypes(await readDocument(), generators))
    expect([path, await readFile(join(ROOT, path), 'utf8')]).toEqual([path, text]);
});
