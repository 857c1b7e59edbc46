import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DECISION, numberDecisions } from '../scripts/decisions.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Tests that a document names: `test/file.test.ts`: "name", "name". */
function namedTests(text: string): [file: string, name: string][] {
  return [...text.matchAll(/`(test\/[\w/.-]+(?:\.test|-tests)\.ts)`: ((?:"[^"\n]+"(?:, )?)+)/g)].flatMap(
    ([, file = '', names = '']) => [...names.matchAll(/"([^"]+)"/g)].map(([, name = '']): [string, string] => [file, name]),
  );
}

describe.each([
  ['docs/SECURITY.md', 'threat'],
  ['docs/doors.md', 'where'],
])('%s', (document, firstHeading) => {
  const named = namedTests(read(document));

  test('names a test for every line of its tables', () => {
    const tables = read(document)
      .split('\n')
      .reduce<{ rows: string[]; isOfTests: boolean }>(
        ({ rows, isOfTests }, line) => {
          if (!line.startsWith('| ')) return { rows, isOfTests: isOfTests && line.startsWith('|') };
          if (line.startsWith(`| ${firstHeading} |`)) return { rows, isOfTests: true };
          return { rows: isOfTests ? [...rows, line] : rows, isOfTests };
        },
        { rows: [], isOfTests: false },
      );
    expect(tables.rows.length).toBeGreaterThan(15);
    for (const row of tables.rows) expect(row).toMatch(/`test\/[\w/.-]+(?:\.test|-tests)\.ts`: "/);
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

describe('docs/decisions.md', () => {
  const entries = read('docs/decisions.md')
    .split('\n')
    .filter((line) => line.startsWith('- '));

  test('gives each decision a number of its own, a day and a state (npm run decisions)', () => {
    expect(entries.filter((entry) => !DECISION.test(entry))).toEqual([]);
    const numbers = entries.map((entry) => DECISION.exec(entry)?.[1]);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  test('replaces decisions only by ones that exist', () => {
    const numbers = new Set(entries.map((entry) => DECISION.exec(entry)?.[1]));
    const replacing = entries.flatMap((entry) => /replaced by D(\d+)/.exec(DECISION.exec(entry)?.[3] ?? '')?.[1] ?? []);
    expect(replacing.filter((number) => !numbers.has(number))).toEqual([]);
  });

  test('new entries get the next numbers, wherever they stand; what has a number keeps it', () => {
    const text =
      '- **D7** (2026-01-01, replaced by D8) Old.\n  - a detail\n- New.\n## More\n- **D2** (2026-01-01, accepted) Kept.\n- Newer.';
    expect(numberDecisions(text, () => '2026-02-02')).toBe(
      '- **D7** (2026-01-01, replaced by D8) Old.\n  - a detail\n- **D8** (2026-02-02, accepted) New.\n## More\n' +
        '- **D2** (2026-01-01, accepted) Kept.\n- **D9** (2026-02-02, accepted) Newer.',
    );
  });
});
