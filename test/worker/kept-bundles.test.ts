import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { bundleApart } from '../../worker/temporal/bundle-apart.ts';
import { digestOfSources, keepNewest } from '../../worker/temporal/kept-bundles.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-bundles-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the digest of the sources', () => {
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(join(folder, file, '..'), { recursive: true });
    await writeFile(join(folder, file), text);
  };

  beforeEach(async () => {
    for (const file of ['package-lock.json', 'worker/temporal/temporal-workers.ts', 'workflows/a.ts', 'domain/deep/b.ts'])
      await write(file, 'before');
  });

  test.each(['package-lock.json', 'worker/temporal/temporal-workers.ts', 'workflows/a.ts', 'domain/deep/b.ts'])(
    'is another one when %s changes',
    async (file) => {
      const before = await digestOfSources(folder);
      expect(await digestOfSources(folder)).toBe(before);
      await write(file, 'after');
      expect(await digestOfSources(folder)).not.toBe(before);
    },
  );

  test('is another one when a module is added, and not when anything else is', async () => {
    const before = await digestOfSources(folder);
    await write('workflows/a.md', 'new');
    await write('api/c.ts', 'new');
    expect(await digestOfSources(folder)).toBe(before);
    await write('workflows/c.ts', '');
    expect(await digestOfSources(folder)).not.toBe(before);
  });
});

test('the workflows are bundled once: the next one to ask is answered what was kept', async () => {
  const { code } = await bundleApart(folder);
  expect(code).toContain('reconcileInstance');
  const [name = ''] = await readdir(join(folder, 'workflow-bundles'));
  const kept = join(folder, 'workflow-bundles', name);
  expect(await readFile(kept, 'utf8')).toBe(code);
  await writeFile(kept, 'as kept');
  expect(await bundleApart(folder)).toEqual({ code: 'as kept' });
});

test('of bundles only the newest are kept', async () => {
  for (const [index, name] of ['second', 'first', 'third'].entries()) {
    await writeFile(join(folder, name), '');
    await utimes(join(folder, name), index, [2, 1, 3][index] ?? 0);
  }
  await keepNewest(folder, 2);
  expect((await readdir(folder)).toSorted()).toEqual(['second', 'third']);
});
