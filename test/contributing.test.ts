import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Operation } from '../api/contract/define-operation.ts';
import { operations } from '../api/operations/index.ts';
import { startApi } from './api/api-under-test.ts';
import type { ApiUnderTest } from './api/api-under-test.ts';
import { removeFolder } from './support/remove-folder.ts';

const ROOT = join(import.meta.dirname, '..');

/** The endpoint of CONTRIBUTING.md: the file that the page says to create, loaded from outside the source tree. */
async function endpointOfThePage(directory: string): Promise<Operation> {
  const page = await readFile(join(ROOT, 'CONTRIBUTING.md'), 'utf8');
  const [, path = '', code = ''] = /Create `(api\/[\w/.-]+)`:\n\n```ts\n([\s\S]*?)```/.exec(page) ?? [];
  const placed = code.replaceAll(/from '([^']+)'/g, (_, name: string) => {
    const file = name.startsWith('.') ? join(ROOT, dirname(path), name) : join(ROOT, 'node_modules', name, 'index.js');
    return `from '${pathToFileURL(file).href}'`;
  });
  const file = join(directory, 'endpoint.ts');
  await writeFile(file, placed);
  const module: Record<string, Operation> = await import(pathToFileURL(file).href);
  return Object.values(module)[0]!;
}

describe('the endpoint of CONTRIBUTING.md', () => {
  let directory: string;
  let api: ApiUnderTest;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'contributing-'));
    api = await startApi({ operations: [...operations, await endpointOfThePage(directory)] });
  });
  afterAll(async () => {
    await api.close();
    await removeFolder(directory);
  });

  test('renames an API key of the caller, refuses a wrong name, and knows no key of another account', async () => {
    const [owner, stranger] = [await api.newAccount(), await api.newAccount()];
    const { keyId } = await owner.ok('POST', '/auth/keys', { name: 'before' });
    const path = `/auth/keys/${keyId}`;
    expect(await owner.ok('PATCH', path, { name: 'after' })).toEqual({ keyId, name: 'after' });
    expect((await owner.ok('GET', '/auth/keys')).keys).toMatchObject([{ keyId, name: 'after' }]);
    expect(await owner.call('PATCH', path, { name: '' })).toMatchObject({ status: 400 });
    expect(await stranger.call('PATCH', path, { name: '' })).toMatchObject({ status: 404 });
  });
});
