import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ensureLocalKey, mayHaveLocalAccount } from '../../local/local-account.ts';
import { Refusal } from '../../local/refusal.ts';
import { OPERATOR_TOKEN, startApi } from '../api/api-under-test.ts';
import type { ApiUnderTest } from '../api/api-under-test.ts';
import { createApiClient } from '../support/api-client.ts';
import { temporaryDir } from './temporary-dir.ts';

const dir = temporaryDir();
let api: ApiUnderTest;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

async function ensureKey(name: string, operatorToken = OPERATOR_TOKEN) {
  await mkdir(dir.path(name), { recursive: true });
  return ensureLocalKey(dir.path(name), api.url, operatorToken);
}

const me = (apiKey: string) => createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/auth/me');

test('the first start makes an account with a key that works; only its owner can read the file', async () => {
  const { apiKey, file, isNew } = await ensureKey('first');
  expect(isNew).toBe(true);
  expect(await me(apiKey)).toMatchObject({ status: 200, body: { balanceUsd: 50 } });
  expect(await readFile(file, 'utf8')).toBe(`${apiKey}\n`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('the next start finds the same key and makes no second account', async () => {
  const first = await ensureKey('again');
  const [before] = await api.sql<{ count: string }>('select count(*) from accounts');
  expect(await ensureKey('again')).toEqual({ ...first, isNew: false });
  expect(await api.sql('select count(*) from accounts')).toEqual([before]);
});

test('a key that the database does not know, or an empty file, is replaced by one that works', async () => {
  for (const text of ['tc_live_of_another_database\n', '']) {
    const { file } = await ensureKey('replaced');
    await writeFile(file, text);
    const { apiKey, isNew } = await ensureKey('replaced');
    expect([isNew, (await me(apiKey)).status]).toEqual([true, 200]);
  }
});

test('a start whose operator token is refused says what the API answered', async () => {
  const refused = ensureKey('refused', 'x'.repeat(32));
  await expect(refused).rejects.toThrow(Refusal);
  await expect(refused).rejects.toThrow('did not make an invite code (status 401)');
});

test.each([
  ['127.0.0.1', 'process', true],
  ['127.8.9.1', 'process', true],
  ['::1', 'process', true],
  ['localhost', 'process', true],
  ['0.0.0.0', 'process', false],
  ['::', 'process', false],
  ['192.168.1.5', 'process', false],
  ['thermidora.example.com', 'process', false],
  ['localhost.example.com', 'process', false],
  ['127.0.0.1', 'docker', false],
] as const)('on HOST=%s with RUNTIME=%s an account of this machine is allowed: %j', (HOST, RUNTIME, allowed) => {
  expect(mayHaveLocalAccount({ HOST, RUNTIME })).toBe(allowed);
});
