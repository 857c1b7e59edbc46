import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Tests that a document names: `test/file.test.ts`: "name", "name". */
function namedTests(text: string): [file: string, name: string][] {
  return [...text.matchAll(/`(test\/[\w/.-]+\.test\.ts)`: ((?:"[^"\n]+"(?:, )?)+)/g)].flatMap(([, file = '', names = '']) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']): [string, string] => [file, name]),
  );
}

describe('docs/SECURITY.md', () => {
  const named = namedTests(read('docs/SECURITY.md'));

  test('names a test for every threat in its tables', () => {
    const rows = read('docs/SECURITY.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| threat'));
    expect(rows.length).toBeGreaterThan(20);
    for (const row of rows) expect(row).toMatch(/`test\/[\w/.-]+\.test\.ts`: "/);
  });

  test.each(named)('%s has a test named %j', (file, name) => {
    expect([file, existsSync(join(ROOT, file))]).toEqual([file, true]);
    expect(read(file).replaceAll("\\'", "'")).toContain(name);
  });
});

test('docs/OPERATIONS.md names metrics that exist, and all of our own', () => {
  const names = (text: string) => new Set([...text.matchAll(/thermidora_[a-z_]+/g)].map(([name]) => name));
  const code = execFileSync('grep', ['-rhoE', "'thermidora_[a-z_]+'", 'api', 'worker', 'relay'], { cwd: ROOT, encoding: 'utf8' });
  expect([...names(read('docs/OPERATIONS.md'))].toSorted()).toEqual([...names(code)].toSorted());
});
