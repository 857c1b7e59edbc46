import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const manifest = z
  .object({
    license: z.string(),
    scripts: z.record(z.string(), z.string()),
    devDependencies: z.object({ node: z.string() }),
  })
  .parse(JSON.parse(read('package.json')));
const documents = execFileSync('git', ['ls-files', '*.md', '.github/**', '.devcontainer/**', '.githooks/**'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .trim()
  .split('\n');

test('the licence is the same in the manifest, the OpenAPI document and LICENSE', () => {
  const { info } = z
    .object({ info: z.object({ license: z.object({ name: z.string() }) }) })
    .parse(JSON.parse(read('openapi.json')));
  expect([manifest.license, info.license.name]).toEqual(['Apache-2.0', 'Apache-2.0']);
  expect(read('LICENSE')).toContain('Apache License\n                           Version 2.0');
});

test('.nvmrc is the Node that the project brings', () => {
  expect(read('.nvmrc').trim()).toBe(manifest.devDependencies.node);
});

describe.each(documents)('%s', (file) => {
  const text = read(file);

  test('names npm scripts that exist', () => {
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in manifest.scripts))).toEqual([]);
  });

  test('links to files that exist', () => {
    const targets = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
    expect(targets.filter((target) => !existsSync(join(ROOT, dirname(file), target)))).toEqual([]);
  });
});

test('continuous integration needs no secret, and each job has a time limit', () => {
  const text = read('.github/workflows/ci.yml');
  expect(text).not.toContain('secrets.');
  const { jobs } = z.object({ jobs: z.record(z.string(), z.object({ 'timeout-minutes': z.int() })) }).parse(parse(text));
  expect(Object.keys(jobs)).toEqual(['check', 'test', 'campaign']);
});

// The linter knows the names em and transaction; a fork has none.
test('no statement is given to MikroORM as a text, into which it would write the values', () => {
  const files = execFileSync('git', ['ls-files', '*.ts', ':!test/**'], { cwd: ROOT, encoding: 'utf8' }).trim().split('\n');
  expect(files.filter((file) => /\.fork\(\)\s*\.execute\b/.test(read(file)))).toEqual([]);
});
