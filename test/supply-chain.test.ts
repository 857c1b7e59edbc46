import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.looseObject({
      resolved: z.string().optional(),
      integrity: z.string().optional(),
      inBundle: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
    }),
  ),
});
const LOCKFILES = ['package-lock.json', 'runtime/openclaw/package/package-lock.json', 'sdk/generators/package-lock.json'];

/** Every package that a lockfile names, without the project itself. */
function packagesOf(path: string) {
  const { packages } = lockfile.parse(JSON.parse(read(path)));
  return Object.entries(packages).filter(([place]) => place !== '');
}

test.each(LOCKFILES)('%s takes every package from the registry, with its checksum', (path) => {
  const packages = packagesOf(path).filter(([, { inBundle }]) => !inBundle);
  expect(packages.length).toBeGreaterThan(10);
  for (const [place, { resolved, integrity }] of packages)
    expect([place, resolved, integrity]).toEqual([
      place,
      // The registry that is configured; a package from anywhere else would say where.
      undefined,
      expect.stringMatching(/^sha512-/),
    ]);
});

test('of every package that has a script it is decided whether that runs', () => {
  const decided = z
    .object({ allowScripts: z.record(z.string(), z.boolean()) })
    .parse(JSON.parse(read('package.json'))).allowScripts;
  const having = packagesOf('package-lock.json').filter(([, { hasInstallScript }]) => hasInstallScript);
  const names = new Set(having.map(([place]) => place.replace(/^.*node_modules\//, '')));
  expect([...names].filter((name) => !(name in decided))).toEqual([]);
  expect(Object.keys(decided).filter((name) => !names.has(name))).toEqual([]);
});

test('images and the installation of OpenClaw run no script of a package, but the one of OpenClaw itself', () => {
  const installs = ['Dockerfile', 'runtime/image/Dockerfile'].flatMap(
    (path) => read(path).match(/npm (ci|install|rebuild)\b.*/g) ?? [],
  );
  for (const line of installs) expect(line).toMatch(/^npm (ci .*--ignore-scripts|rebuild openclaw )/);
  expect(installs.filter((line) => line.startsWith('npm ci'))).toHaveLength(3);
  expect(read('runtime/openclaw/install/installation.ts')).toMatch(/\['ci', [^\]]*'--ignore-scripts'\]/);
});

test('CI runs actions by their commit, whatever becomes of their tags', () => {
  const used = execFileSync('grep', ['-rhoE', 'uses: .*', '.github/workflows'], { cwd: ROOT, encoding: 'utf8' })
    .trim()
    .split('\n');
  expect(used.length).toBeGreaterThan(5);
  for (const line of used) expect(line).toMatch(/^uses: [\w./-]+@[\da-f]{40} # v\d/);
});
