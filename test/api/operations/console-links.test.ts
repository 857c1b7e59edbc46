import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';

const DAY_MS = 24 * 60 * 60_000;

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});

afterAll(() => api.close());

describe('auth.createLink', () => {
  test('cannot be made by a key with limits', async () => {
    const instance = await account.ok('POST', '/instances', { name: 'one' });
    for (const limits of [
      { scopes: ['read', 'keys'] },
      { instanceId: instance.instanceId },
      { expiresAt: new Date(Date.now() + 300 * DAY_MS).toISOString() },
    ]) {
      const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'limited', ...limits });
      const answer = await fetch(`${api.url}/v1/auth/links`, { method: 'POST', headers: { 'x-api-key': apiKey } });
      expect(answer.status).toBe(403);
    }
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'whole' });
    expect((await fetch(`${api.url}/v1/auth/links`, { method: 'POST', headers: { 'x-api-key': apiKey } })).status).toBe(201);
  });

  test('is stored as a digest only', async () => {
    const { path } = await account.ok('POST', '/auth/links');
    expect(path).toMatch(/^\/console\/#link=[\w-]{43}$/);
    const [row] = await api.sql<{ hash: string }>(
      `select encode(console_link_hash, 'escape') as hash from accounts where id = ?`,
      [account.accountId],
    );
    expect(row?.hash.length).toBeGreaterThan(0);
    expect(JSON.stringify(row)).not.toContain(path.split('=')[1]);
  });
});
