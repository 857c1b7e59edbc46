import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

const CALLS = 2;
const WAITS = 3;
/** Calls that wait for their turn, at most. */
const QUEUE = 100;
const MEBIBYTE = 1024 * 1024;

let api: ApiUnderTest;
let account: AccountClient;
let other: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { MAX_CALLS_PER_ACCOUNT: String(CALLS), MAX_WAITS_PER_ACCOUNT: String(WAITS) } });
  [account, other] = [await api.newAccount(), await api.newAccount()];
});

afterAll(() => api.close());

/** Begins a call whose body is announced, and never sends it in full. */
async function begin(path: string, headers: Record<string, string>, { token } = account): Promise<Socket> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const lines = Object.entries({ Host: 'x', Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...headers });
  socket.write(`POST /v1${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  return socket;
}

async function answerOf(socket: Socket): Promise<string> {
  const [bytes] = await once(socket, 'data');
  return String(bytes);
}

/** The first answer among calls of which one does not fit. From then on the others hold all that there is. */
async function refusalAmong(calls: readonly Promise<Socket>[]): Promise<{ answer: string; sockets: Socket[] }> {
  const sockets = await Promise.all(calls);
  return { answer: await Promise.race(sockets.map(answerOf)), sockets };
}

const large = { 'Content-Length': String(16 * MEBIBYTE) };

/** A body of two MiB. */
const skill = (name: string) => ({ name, files: { 'SKILL.md': '# Mine', 'a.txt': 'x'.repeat(2 * MEBIBYTE) } });

describe('bodies', () => {
  test('a large one is not read for an instance that is not there', async () => {
    expect(await answerOf(await begin('/instances/inst_nothingnothing00/skills', large))).toMatch(/^HTTP\/1\.1 404 /);
    const foreign = await newInstance(other);
    expect(await answerOf(await begin(`/instances/${foreign}/skills`, large))).toMatch(/^HTTP\/1\.1 404 /);
    expect(await answerOf(await begin(`/instances/${foreign}/skills`, { ...large, 'Content-Type': 'text/plain' }))).toMatch(
      /^HTTP\/1\.1 415 /,
    );
  });

  test('a large one whose call was answered before is read, though its instance is gone', async () => {
    const instanceId = await newInstance(account);
    const body = skill('mine');
    const options = { headers: { 'idempotency-key': 'large' } };
    expect((await account.call('POST', `/instances/${instanceId}/skills`, body, options)).status).toBe(201);
    await api.sql('update instances set deleted_at = now() where id = ? returning id', [instanceId]);
    const again = await account.call('POST', `/instances/${instanceId}/skills`, body, options);
    expect([again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 'true']);
  });

  test('an account holds 32 MiB of large ones: more is 503 with Retry-After; others, and its small calls, go on', async () => {
    const path = `/instances/${await newInstance(account)}/skills`;
    const chunked = { 'Transfer-Encoding': 'chunked' };
    const { answer, sockets } = await refusalAmong([large, large, chunked].map((headers) => begin(path, headers)));
    expect(answer).toMatch(/^HTTP\/1\.1 503 [^]*\r\nRetry-After: 1\r\n[^]*"unavailable"/i);
    expect((await account.call('POST', path, skill('refused'))).status).toBe(503);
    expect((await other.call('POST', `/instances/${await newInstance(other)}/skills`, skill('mine'))).status).toBe(201);
    expect((await account.call('POST', path, { name: 'weather' })).status).toBe(201);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => expect((await account.call('POST', path, skill('then'))).status).toBe(201));
  });

  test('all accounts together hold 128 MiB of large ones, and none keeps the small ones out', async () => {
    const calls: Promise<Socket>[] = [];
    for (let count = 0; count < 5; count += 1) {
      const uploader = await api.newAccount();
      const path = `/instances/${await newInstance(uploader)}/skills`;
      calls.push(...(count < 4 ? [1, 2] : [1]).map(() => begin(path, large, uploader)));
    }
    const { answer, sockets } = await refusalAmong(calls);
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    const path = `/instances/${await newInstance(account)}/skills`;
    expect((await account.call('POST', path, skill('refused'))).status).toBe(503);
    expect((await account.call('POST', path, { name: 'weather' })).status).toBe(201);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => expect((await account.call('POST', path, skill('then'))).status).toBe(201));
  });

  test('an account holds 16 MiB of small ones', async () => {
    const small = { 'Content-Length': String(MEBIBYTE) };
    const { answer, sockets } = await refusalAmong(Array.from({ length: 17 }, () => begin('/auth/keys', small)));
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect((await account.call('POST', '/auth/keys', { name: 'refused' })).status).toBe(503);
    expect((await other.call('POST', '/auth/keys', { name: 'meanwhile' })).status).toBe(201);
    for (const socket of sockets) socket.destroy();
    await eventually(async () => expect((await account.call('POST', '/auth/keys', { name: 'then' })).status).toBe(201));
  });

  test.each([
    ['more than 64 levels', `{"name":${'['.repeat(64)}${']'.repeat(64)}}`, 'nested more than 64'],
    ['more than 20,000 values', `{"name":[${'1,'.repeat(20_000)}1]}`, 'more than 20000 values'],
  ])('of %s are refused before they are parsed', async (_what, body, told) => {
    const headers = { authorization: `Bearer ${account.token}`, 'content-type': 'application/json' };
    const response = await fetch(`${api.url}/v1/auth/keys`, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { details: [{ path: 'body', message: expect.stringContaining(told) }] },
    });
  });
});

describe('calls of one account', () => {
  /** Runs while this instance is locked. */
  async function whileLocked<T>(instanceId: string, work: () => Promise<T>): Promise<T> {
    return api.orm.em.fork().transactional(async (em) => {
      await em.execute('select id from instances where id = ? for update', [instanceId]);
      return work();
    });
  }

  test('work a few at a time and wait for each other; too many of them are 429, and other accounts are answered', async () => {
    const instanceId = await newInstance(account);
    const store = () => account.call('POST', `/instances/${instanceId}/secrets`, { secrets: { KEY: 'value' } });
    const { calls, refused } = await whileLocked(instanceId, async () => {
      const all = Array.from({ length: CALLS + QUEUE }, store);
      // One more than may wait is refused at once, whichever of them it is.
      const first = await Promise.race([...all, store()]);
      expect((await other.call('GET', '/auth/me')).status).toBe(200);
      return { calls: all, refused: first };
    });
    expect([refused.status, refused.body.error.code, refused.headers.get('retry-after')]).toEqual([429, 'rate_limited', '1']);
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    // On a busy machine some wait longer than a call may.
    expect(statuses.filter((status) => status !== 200 && status !== 429)).toEqual([]);
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(CALLS);
  });

  test('that wait have a number of their own: one more is 429 and does nothing, and a place is free when one ends', async () => {
    const instanceId = await newInstance(account);
    const gone = new AbortController();
    const path = `/instances/${instanceId}/wait?timeout=60`;
    const wait = () => account.call('GET', path, undefined, { signal: gone.signal }).catch(() => null);
    // The others hold all places.
    const waiting = Array.from({ length: WAITS + 1 }, wait);
    expect((await Promise.race(waiting))?.status).toBe(429);
    const refused = await account.call('POST', '/instances', { name: 'one too many' });
    expect([refused.status, refused.body.error.code, refused.headers.get('retry-after')]).toEqual([429, 'rate_limited', '1']);
    expect((await account.call('GET', `/instances/${instanceId}`)).status).toBe(200);
    expect((await other.call('POST', '/instances', { name: 'another' })).status).toBe(201);
    gone.abort();
    await Promise.all(waiting);
    await eventually(async () => expect((await account.call('POST', '/instances', { name: 'then' })).status).toBe(201));
    const { instances } = await account.ok('GET', '/instances');
    expect(instances.filter(({ name }: { name: string }) => name === 'one too many')).toEqual([]);
  });
});
