import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newInstance } from '../rows.ts';

const CANARY = 'canary-of-a-secret-value';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
});

beforeEach(async () => {
  account = await api.newAccount();
});

afterAll(() => api.close());

const path = (instanceId: string) => `/instances/${instanceId}/secrets`;
const store = (instanceId: string, secrets: unknown) => account.call('POST', path(instanceId), { secrets });
const keysOf = async (instanceId: string) =>
  (await account.ok('GET', path(instanceId))).secrets.map(({ key }: { key: string }) => key);

async function rowOf(instanceId: string) {
  const [row] = await api.sql<{ restart: number; content: number; transition: string | null; waits: boolean }>(
    `select restart_generation::float8 as restart, content_generation::float8 as content, transition_kind as transition,
            restart_not_before > now() as waits from instances where id = ?`,
    [instanceId],
  );
  return row!;
}

describe('secrets.store', () => {
  test('keeps values encrypted and bound to their row, for the next start of an instance that does not run', async () => {
    const id = await newInstance(account);
    expect(await store(id, { SLACK_TOKEN: CANARY, GROQ_API_KEY: 'other' })).toMatchObject({
      status: 200,
      body: { stored: 2, restarting: false },
    });
    expect(await rowOf(id)).toMatchObject({ restart: 0, content: 1 });
    const rows = await api.sql<{ value: string }>('select value from instance_secrets where instance_id = ? order by key', [id]);
    expect(rows.map(({ value }) => value)).toEqual([expect.stringMatching(/^v1\.test\./), expect.stringMatching(/^v1\.test\./)]);
    expect(JSON.stringify(rows)).not.toContain(CANARY);
  });

  test('restarts a running instance, whose status stays running, once for changes that come together', async () => {
    const id = await newInstance(account);
    await makeRunning(api, id);
    expect(await store(id, { A: '1' })).toMatchObject({ status: 200, body: { restarting: true } });
    expect(await account.ok('GET', `/instances/${id}`)).toMatchObject({ status: 'running', transition: { kind: 'restarting' } });
    const first = await rowOf(id);
    expect(await store(id, { B: '2' })).toMatchObject({ body: { restarting: true } });
    expect([first, await rowOf(id)]).toEqual([
      { restart: 1, content: 1, transition: 'restarting', waits: true },
      { restart: 2, content: 2, transition: 'restarting', waits: true },
    ]);
    const { transition } = await account.ok('GET', `/instances/${id}`);
    expect(transition.attempt).toBe(0);
  });

  test('restarts nothing that is about to stop, and is refused for one that is being deleted', async () => {
    const id = await newInstance(account);
    await makeRunning(api, id);
    await account.ok('POST', `/instances/${id}/stop`);
    expect(await store(id, { A: '1' })).toMatchObject({ status: 200, body: { restarting: false } });
    expect(await rowOf(id)).toMatchObject({ restart: 0, transition: 'stopping' });
    await account.ok('DELETE', `/instances/${id}`);
    expect((await store(id, { A: '1' })).status).toBe(409);
  });

  test.each(['lower', '1A', 'A-B', '', 'A'.repeat(129), 'OPENCLAW_X', 'NODE_OPTIONS', 'LD_PRELOAD', 'PATH', 'HOME', 'SHELL'])(
    'refuses the key %j, and stores nothing of that call',
    async (key) => {
      const id = await newInstance(account);
      const { status, body } = await store(id, { GOOD: '1', [key]: CANARY });
      expect([status, body.error.details[0].path]).toEqual([400, `secrets.${key}`]);
      expect(JSON.stringify(body)).not.toContain(CANARY);
      expect(await keysOf(id)).toEqual([]);
    },
  );

  test.each([[''], ['x'.repeat(64 * 1024 + 1)], ['ü'.repeat(32 * 1024 + 1)], ['***'], [7], [null]])(
    'refuses the value %.12j',
    async (value) => {
      const id = await newInstance(account);
      const { status, body } = await store(id, { A: value });
      expect([status, body.error.details[0].path]).toEqual([400, 'secrets.A']);
    },
  );

  test('takes what is just allowed, and replaces', async () => {
    const id = await newInstance(account);
    await account.ok('POST', path(id), { secrets: { [`A${'_'.repeat(127)}`]: 'x'.repeat(64 * 1024), B: 'ü\n' } });
    await account.ok('POST', path(id), { secrets: { B: 'again' } });
    expect(await keysOf(id)).toHaveLength(2);
  });

  test('refuses an empty call, and more than a hundred secrets of one instance, as a whole', async () => {
    const id = await newInstance(account);
    expect((await store(id, {})).status).toBe(400);
    const many = (count: number, from = 0) =>
      Object.fromEntries(Array.from({ length: count }, (_none, index) => [`S${from + index}`, 'x']));
    await account.ok('POST', path(id), { secrets: many(99) });
    expect(await store(id, many(2, 99))).toMatchObject({ status: 400, body: { error: { details: [{ path: 'secrets' }] } } });
    expect(await keysOf(id)).toHaveLength(99);
    await account.ok('POST', path(id), { secrets: { S0: 'replaced', LAST: 'x' } });
    expect((await store(id, { ONE_MORE: 'x' })).status).toBe(400);
  });

  test('takes a mebibyte in all, names and values, and refuses a byte more with the numbers', async () => {
    const id = await newInstance(account);
    const value = 'x'.repeat(64 * 1024);
    const fifteen = Object.fromEntries(Array.from({ length: 15 }, (_none, index) => [`S${10 + index}`, value]));
    const left = 64 * 1024 - 15 * 3 - 1;
    await account.ok('POST', path(id), { secrets: { ...fifteen, A: 'x'.repeat(left) } });
    expect(await store(id, { A: 'x'.repeat(left + 1) })).toMatchObject({
      status: 400,
      body: { error: { message: expect.stringMatching(/at most 1048576 bytes .* would have 1048577\./) } },
    });
  });

  test('a value that was moved to another row cannot be read', async () => {
    const [one, other] = [await newInstance(account), await newInstance(account)];
    for (const id of [one, other]) await account.ok('POST', path(id), { secrets: { A: CANARY } });
    await api.sql(
      `update instance_secrets set value = (select value from instance_secrets where instance_id = ?) where instance_id = ? returning key`,
      [one, other],
    );
    expect((await account.call('GET', `/instances/${one}/logs`)).status).toBe(200);
    expect((await account.call('GET', `/instances/${other}/logs`)).status).toBe(500);
  });
});

describe('secrets.list', () => {
  test('shows keys by name and never a value', async () => {
    const id = await newInstance(account);
    await account.ok('POST', path(id), { secrets: { B: CANARY, A: CANARY } });
    const answer = await account.ok('GET', path(id));
    expect(answer).toEqual({
      secrets: [
        { key: 'A', updatedAt: expect.any(String) },
        { key: 'B', updatedAt: expect.any(String) },
      ],
      nextCursor: null,
    });
    const page = await account.ok('GET', `${path(id)}?limit=1`);
    expect(await account.ok('GET', `${path(id)}?limit=1&cursor=${page.nextCursor}`)).toMatchObject({
      secrets: [{ key: 'B' }],
      nextCursor: null,
    });
  });
});

describe('secrets.delete', () => {
  test('forgets a secret, restarts a running instance, and is 404 for what is not there', async () => {
    const id = await newInstance(account);
    await account.ok('POST', path(id), { secrets: { A: CANARY } });
    await makeRunning(api, id);
    expect(await account.ok('DELETE', `${path(id)}/A`)).toEqual({ key: 'A', deleted: true, restarting: true });
    expect(await rowOf(id)).toMatchObject({ restart: 1, transition: 'restarting' });
    expect(await keysOf(id)).toEqual([]);
    for (const key of ['A', 'not-a-key']) expect((await account.call('DELETE', `${path(id)}/${key}`)).status).toBe(404);
    expect(await rowOf(id)).toMatchObject({ restart: 1 });
  });
});
