import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheDirOf } from '../lib/cache-dir.ts';
import { generateMethods, generateTypes, readDocument } from './sdk/generate.ts';
import { ensureGenerators } from './sdk/generators.ts';

// Writes what is generated of the client libraries in sdk/ from openapi.json.
const document = await readDocument();
const files = [
  ...(await generateMethods(document)),
  ...(await generateTypes(document, await ensureGenerators(cacheDirOf(process.env)))),
];
for (const [path, text] of files) {
  const file = join(import.meta.dirname, '..', path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}
