import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const report = z.object({ diagnostics: z.array(z.object({ code: z.string(), filename: z.string() })) });

const importing = (path: string) => `import { it } from '${path}';\nit();\n`;
const importingName = (name: string, path: string) => `import { ${name} } from '${path}';\n${name}();\n`;
const importingType = (path: string) => `import type { It } from '${path}';\nexport type That = It;\n`;
const DIRECTION = 'eslint(no-restricted-imports)';
const EXECUTE = 'eslint(no-restricted-properties)';
const FETCH = 'eslint(no-restricted-globals)';

/** A file by its path, its text, and the rule it breaks; null: it is fine. */
const FILES: [file: string, text: string, rule: string | null][] = [
  ['domain/a.ts', importing('../lib/x.ts'), DIRECTION],
  ['domain/b.ts', importing('node:crypto'), DIRECTION],
  ['domain/c.ts', importing('zod'), DIRECTION],
  ['domain/d.ts', importing('./x.ts'), null],
  ['lib/a.ts', importing('../domain/x.ts'), DIRECTION],
  ['lib/b.ts', importing('node:fs/promises'), null],
  ['database/billing/a.ts', importing('../../runtime/x.ts'), DIRECTION],
  ['database/billing/b.ts', importing('../../domain/x.ts'), null],
  ['database/pool/a.ts', importingName('query', '../sql.ts'), DIRECTION],
  ['database/pool/b.ts', importingName('run', '../sql.ts'), null],
  ['api/http/a.ts', importingName('plannedQuery', '../../database/sql.ts'), DIRECTION],
  ['runtime/process/a.ts', importing('../../database/x.ts'), DIRECTION],
  ['runtime/process/b.ts', importing('../driver.ts'), null],
  ['runtime/c.ts', importing('../stores/x.ts'), DIRECTION],
  ['stores/a.ts', importing('../turns/x.ts'), DIRECTION],
  ['stores/b.ts', importing('../runtime/x.ts'), null],
  ['sdk/typescript/src/a.ts', importing('../../../lib/x.ts'), DIRECTION],
  ['turns/a.ts', importing('../worker/x.ts'), DIRECTION],
  ['turns/b.ts', importing('../runtime/x.ts'), null],
  ['turns/c.ts', importing('koa'), DIRECTION],
  ['turns/d.ts', importing('node:http'), DIRECTION],
  ['turns/conversation/a.ts', importing('../../api/http/event-stream.ts'), DIRECTION],
  ['activities/a.ts', importing('../worker/x.ts'), DIRECTION],
  ['activities/b.ts', importing('../turns/x.ts'), null],
  ['api/operations/auth/a.ts', importing('../../../activities/x.ts'), DIRECTION],
  ['api/operations/auth/b.ts', importing('../../../turns/x.ts'), null],
  ['worker/a.ts', importing('../api/x.ts'), DIRECTION],
  ['worker/b.ts', importing('../workflows/index.ts'), DIRECTION],
  ['worker/c.ts', importingType('../workflows/index.ts'), null],
  ['worker/d.ts', importing('../activities/x.ts'), null],
  ['relay/a.ts', importing('../database/x.ts'), DIRECTION],
  ['relay/b.ts', importing('../runtime/driver.ts'), DIRECTION],
  ['relay/c.ts', importing('../runtime/openclaw/install/installation.ts'), DIRECTION],
  ['relay/d.ts', importing('../runtime/openclaw/install/tokens.ts'), null],
  ['relay/e.ts', importing('../runtime/openclaw/conversation/spoken-text.ts'), null],
  ['workflows/a.ts', importing('../activities/x.ts'), DIRECTION],
  ['workflows/b.ts', importing('../lib/x.ts'), DIRECTION],
  ['workflows/c.ts', importing('node:crypto'), DIRECTION],
  ['workflows/d.ts', importing('@temporalio/worker'), DIRECTION],
  ['workflows/e.ts', importing('@temporalio/client'), DIRECTION],
  ['workflows/f.ts', importing('pg'), DIRECTION],
  ['workflows/g.ts', importingType('../activities/x.ts'), null],
  ['workflows/h.ts', importing('@temporalio/workflow'), null],
  ['workflows/j.ts', importing('@temporalio/common'), null],
  ['workflows/i.ts', importing('../domain/x.ts'), null],
  ['worker/e.ts', importing('../local/x.ts'), DIRECTION],
  ...['api', 'turns', 'activities', 'worker', 'stores', 'local', 'scripts'].flatMap((folder): typeof FILES => [
    [`${folder}/openclaw-a.ts`, importing('../runtime/openclaw/wire/x.ts'), DIRECTION],
    [`${folder}/openclaw-b.ts`, importingType('../runtime/openclaw/conversation/x.ts'), DIRECTION],
    [`${folder}/openclaw-c.ts`, importing('../runtime/gateway/x.ts'), null],
    [`${folder}/openclaw-d.ts`, importing('../runtime/engine.ts'), null],
  ]),
  ['runtime/gateway/a.ts', importing('../openclaw/wire/x.ts'), DIRECTION],
  ['runtime/gateway/b.ts', importing('../driver.ts'), null],
  ['runtime/d.ts', importing('./openclaw/x.ts'), null],
  ['local/a.ts', importing('../test/x.ts'), DIRECTION],
  ['local/b.ts', importing('../runtime/x.ts'), null],
  ['api/c.ts', 'export const it = process.env;\n', 'node(no-process-env)'],
  ['api/main.ts', 'export const it = process.env;\n', null],
  ['api/d.ts', "console.log('it');\n", 'eslint(no-console)'],
  ['api/m.ts', "export const it = fetch('http://127.0.0.1/');\n", FETCH],
  ['runtime/openclaw/a.ts', "export const it = fetch('http://127.0.0.1/');\n", FETCH],
  ['relay/f.ts', "export const it = fetch('http://127.0.0.1/');\n", FETCH],
  ['lib/net/bounded-fetch.ts', "export const it = fetch('http://127.0.0.1/');\n", null],
  ['api/n.ts', "export const it = (em: { execute: (text: string) => void }) => em.execute('select 1');\n", EXECUTE],
  ['database/billing/c.ts', "export const it = (em: { execute: (text: string) => void }) => em.execute('select 1');\n", EXECUTE],
  ['api/o.ts', 'export const it = (value: unknown) => value instanceof Error;\n', 'unicorn(no-instanceof-builtins)'],
  ['api/e.ts', 'export const it = (value: any) => String(value);\n', 'typescript(no-explicit-any)'],
  ['api/f.ts', "Promise.resolve('it');\n", 'typescript(no-floating-promises)'],
  ['api/g.ts', "export const it: string[] = JSON.parse('[]');\n", 'typescript(no-unsafe-assignment)'],
  ['api/h.ts', "['it'].forEach(async (it) => Promise.resolve(it));\n", 'typescript(no-misused-promises)'],
  ['api/i.ts', 'export const it = (value: unknown) => value as string;\n', 'typescript(no-unsafe-type-assertion)'],
  ['api/j.ts', "import { It } from '../domain/x.ts';\nexport type That = It;\n", 'typescript(consistent-type-imports)'],
  ['api/k.ts', "import { l } from './l.ts';\nexport const k = () => l();\n", 'import(no-cycle)'],
  ['api/l.ts', "import { k } from './k.ts';\nexport const l = (): void => k();\n", 'import(no-cycle)'],
  ['api/camelCase.ts', 'export const it = 1;\n', 'unicorn(filename-case)'],
];

describe('the linter', () => {
  let directory: string;
  const found = new Map<string, string[]>();

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lint-'));
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) await cp(join(ROOT, file), join(directory, file));
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    for (const [file, text] of [
      ...FILES,
      ['domain/x.ts', 'export const it = (): void => {};\nexport type It = string;\n'],
    ] as const) {
      await mkdir(dirname(join(directory, file)), { recursive: true });
      await writeFile(join(directory, file), text);
    }
    for (const { code, filename } of report.parse(JSON.parse(await lint(directory))).diagnostics)
      found.set(filename, [...(found.get(filename) ?? []), code]);
  });

  afterAll(() => rm(directory, { recursive: true }));

  test.each(FILES.filter(([, , rule]) => rule !== null))('refuses %s: %j', (file, _, rule) => {
    expect(found.get(file)).toContain(rule);
  });

  test.each(FILES.filter(([, , rule]) => rule === null))('lets pass %s: %j', (file) => {
    expect(found.get(file) ?? []).not.toContain(DIRECTION);
    expect(found.get(file) ?? []).not.toContain('node(no-process-env)');
    expect(found.get(file) ?? []).not.toContain(FETCH);
  });
});

/** It exits with 1 when it finds something, which here is what it is for. */
function lint(cwd: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(join(ROOT, 'node_modules', '.bin', 'oxlint'), ['-f', 'json'], { cwd }, (_, stdout) => resolve(stdout));
  });
}
