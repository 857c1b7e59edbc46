import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { BASE_PATH } from '../../api/base-path.ts';
import { createOpenapi } from '../../api/openapi.ts';
import { operations } from '../../api/operations/index.ts';

const REDOCLY = join(import.meta.dirname, '../../node_modules/.bin/redocly');

function lint(file: string): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile(REDOCLY, ['lint', '--extends=recommended', file], (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: `${stdout}${stderr}` }),
    );
  });
}

test('the document of all operations is a valid OpenAPI document', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
  const file = join(folder, 'openapi.json');
  await writeFile(file, JSON.stringify(createOpenapi(operations, BASE_PATH)));
  const { failed, output } = await lint(file);
  await rm(folder, { recursive: true });
  if (failed) throw new Error(output);
  expect(output).toContain('Your API description is valid');
});
