import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { expect, test } from '@jest/globals';
import { IMAGE_INPUTS } from '../../../runtime/docker/image.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** What this file and all that it imports load when they run, by their paths from the root. */
async function loadedBy(file: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const source = await readFile(join(ROOT, file), 'utf8');
  for (const [, target] of source.matchAll(/^import (?!type )[^;]*?from '(\.[^']+)'/gm))
    await loadedBy(relative(ROOT, join(ROOT, dirname(file), target!)), seen);
  return seen;
}

test('what the programs of the image load is in the image', async () => {
  const programs = (await readdir(join(ROOT, 'runtime/image'))).filter((name) => name.endsWith('.ts'));
  const loaded = await Promise.all(programs.map((name) => loadedBy(`runtime/image/${name}`)));
  const isInput = (file: string): boolean => IMAGE_INPUTS.some((input) => file === input || file.startsWith(`${input}/`));

  const missing = [...new Set(loaded.flatMap((files) => [...files]))].filter((file) => !isInput(file));

  expect(missing).toEqual([]);
});
