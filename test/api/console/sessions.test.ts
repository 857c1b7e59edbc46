import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OPERATOR_TOKEN, startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import type { Json } from '../../support/api-client.ts';

const DAY_MS = 24 * 60 * 60_000;
const PAGE = { 'x-thermidora-console': '1', 'sec-fetch-site': 'same-origin' };

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { CORS_ORIGINS: '*' } });
});
beforeEach(async () => {
  account = await api.newAccount();
});
afterAll(() => api.close());

interface Sent {
  body?: object;
  cookie?: string;
  headers?: Record<string, string>;
}

interface Got {
  status: number;
  cookies: string[];
  headers: Record<string, string | string[] | undefined>;
  body: Json;
}

/** As a browser sends it; fetch would not send its own Host and Origin. */
function send(method: string, path: string, { body, cookie, headers = PAGE }: Sent = {}): Promise<Got> {
  const json: Record<string, string> = body ? { 'content-type': 'application/json' } : {};
  const all = { ...json, ...headers, ...(cookie === undefined ? {} : { cookie }) };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${api.url}${path}`, { method, headers: all }, (response) => {
      readAnswer(response).then(resolve, reject);
    });
    outgoing.on('error', reject).end(body && JSON.stringify(body));
  });
}

async function readAnswer(response: IncomingMessage): Promise<Got> {
  const text = Buffer.concat(await response.toArray()).toString();
  const { 'set-cookie': cookies = [], ...headers } = response.headers;
  return { status: response.statusCode ?? 0, cookies, headers, body: text === '' ? null : JSON.parse(text) };
}

const pairOf = ([cookie = '']: string[]): string => cookie.split(';')[0] ?? '';

async function newLink(client = account): Promise<string> {
  const { path } = await client.ok('POST', '/auth/links');
  return path.split('#link=')[1];
}

/** Signs in and answers the cookie as the browser sends it back. */
async function signIn(client = account, headers: Record<string, string> = PAGE): Promise<string> {
  const { status, cookies } = await send('POST', '/console/session', { body: { link: await newLink(client) }, headers });
  expect(status).toBe(200);
  return pairOf(cookies);
}

const me = (cookie: string, headers: Record<string, string> = PAGE) =>
  send('GET', '/console/api/v1/auth/me', { cookie, headers });

describe('signing in', () => {
  test('with the code of a mail begins a session of that account, and proves the address', async () => {
    await api.nobody.ok('POST', '/auth/login', { email: account.email });
    await api.deps.background.idle();
    const code = await api.mailbox.codeFor(account.email, 1);
    const { status, cookies, body, headers } = await send('POST', '/console/session', { body: { email: account.email, code } });
    expect([status, body]).toEqual([200, { accountId: account.accountId, expiresAt: expect.any(String) }]);
    expect(headers['cache-control']).toBe('no-store');
    expect((await me(pairOf(cookies))).body).toMatchObject({ accountId: account.accountId, emailVerified: true });
  });

  test('with a wrong code is 401, costs one of its tries and sets no cookie', async () => {
    await api.nobody.ok('POST', '/auth/login', { email: account.email });
    await api.deps.background.idle();
    const code = await api.mailbox.codeFor(account.email, 1);
    const wrong = { email: account.email, code: code === '000000' ? '000001' : '000000' };
    for (let tries = 0; tries < 5; tries += 1)
      expect(await send('POST', '/console/session', { body: wrong })).toMatchObject({ status: 401, cookies: [] });
    expect((await send('POST', '/console/session', { body: { email: account.email, code } })).status).toBe(401);
  });

  test('with a link works once, however many try at once', async () => {
    const link = await newLink();
    const tries = await Promise.all([0, 1, 2].map(() => send('POST', '/console/session', { body: { link } })));
    expect(tries.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 401, 401]);
  });

  test('with a link works for an hour, and until there is a newer link', async () => {
    const old = await newLink();
    const fresh = await newLink();
    expect((await send('POST', '/console/session', { body: { link: old } })).status).toBe(401);
    api.advance(60 * 60_000 + 1);
    const { status, cookies, body } = await send('POST', '/console/session', { body: { link: fresh } });
    expect([status, cookies]).toEqual([401, []]);
    expect(body.error.message).toContain('make a new link');
  });

  test('sets a cookie that scripts cannot read and other sites cannot have sent, and tells the token nowhere else', async () => {
    const { cookies, body } = await send('POST', '/console/session', { body: { link: await newLink() } });
    const { port } = new URL(api.url);
    expect(cookies).toEqual([
      expect.stringMatching(new RegExp(`^thermidora-session-${port}=[^;]+; Path=/; HttpOnly; SameSite=Strict; Max-Age=86400$`)),
    ]);
    expect(JSON.stringify(body)).not.toContain(pairOf(cookies).split('=')[1]);
  });

  test('at a host that is not this machine sets a cookie for https alone, bound to the host', async () => {
    const headers = { ...PAGE, host: 'console.example.com' };
    const { cookies } = await send('POST', '/console/session', { body: { link: await newLink() }, headers });
    expect(cookies).toEqual([
      expect.stringMatching(/^__Host-thermidora-session=[^;]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=86400; Secure$/),
    ]);
    expect((await me(pairOf(cookies), headers)).status).toBe(200);
    // Another name of the same server does not take it without the prefix.
    expect((await me(pairOf(cookies).replace('__Host-', ''), headers)).status).toBe(401);
  });
});

describe('a session', () => {
  test('is valid for 24 hours', async () => {
    const cookie = await signIn();
    api.advance(DAY_MS - 5_000);
    expect((await me(cookie)).status).toBe(200);
    api.advance(10_000);
    expect((await me(cookie)).status).toBe(401);
  });

  test('ends everywhere when one of them signs out, and the browser forgets its cookie', async () => {
    const [one, other] = [await signIn(), await signIn()];
    const { status, cookies } = await send('DELETE', '/console/session', { cookie: one });
    expect([status, cookies]).toEqual([200, [expect.stringMatching(/^thermidora-session-\d+=; .*Max-Age=0$/)]]);
    expect([(await me(one)).status, (await me(other)).status]).toEqual([401, 401]);
  });

  test('ends with POST /auth/logout of the API', async () => {
    const cookie = await signIn();
    await account.ok('POST', '/auth/logout');
    expect((await me(cookie)).status).toBe(401);
  });

  test('is no credential of the API itself, and keys and tokens are none of the console', async () => {
    const cookie = await signIn();
    for (const path of ['/v1/auth/me', '/openai/v1/models']) expect((await send('GET', path, { cookie })).status).toBe(401);
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'whole' });
    for (const credential of [{ 'x-api-key': apiKey }, { authorization: `Bearer ${account.token}` }])
      expect((await send('GET', '/console/api/v1/auth/me', { headers: { ...PAGE, ...credential } })).status).toBe(401);
  });

  test('makes what the API makes, once for its Idempotency-Key', async () => {
    const cookie = await signIn();
    const headers = { ...PAGE, 'idempotency-key': 'one' };
    const make = () => send('POST', '/console/api/v1/instances', { cookie, headers, body: { name: 'made by a page' } });
    const [first, second] = [await make(), await make()];
    expect([first.status, second.body.instanceId]).toEqual([201, first.body.instanceId]);
    expect((await account.ok('GET', '/instances')).instances).toHaveLength(1);
  });
});

describe('an operator', () => {
  const all = (cookie: string) => send('GET', '/console/api/v1/admin/instances', { cookie });
  const make = (operator: boolean) => api.operator.ok('PATCH', `/admin/accounts/${account.accountId}`, { operator });

  test('is an account that an operator made one, for as long as that holds; to others those paths do not exist', async () => {
    const cookie = await signIn();
    expect((await all(cookie)).status).toBe(404);
    await make(true);
    expect((await all(cookie)).status).toBe(200);
    await make(false);
    expect((await all(cookie)).status).toBe(404);
  });

  test('leaves its account in the audit', async () => {
    await make(true);
    const other = await api.newAccount();
    const path = `/console/api/v1/admin/accounts/${other.accountId}/grants`;
    await send('POST', path, { cookie: await signIn(), body: { amountUsd: '1', reason: 'Thanks' } });
    const { entries } = await api.operator.ok('GET', `/admin/audit?accountId=${other.accountId}`);
    expect(entries[0]).toMatchObject({ actor: `account:${account.accountId}`, action: 'grants.create' });
  });

  test('is one in the console alone: neither its keys and tokens nor the operator token work at the other door', async () => {
    await make(true);
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'whole' });
    for (const credential of [{ 'x-api-key': apiKey }, { authorization: `Bearer ${account.token}` }])
      expect((await send('GET', '/v1/admin/instances', { headers: credential })).status).toBe(401);
    const headers = { ...PAGE, authorization: `Bearer ${OPERATOR_TOKEN}` };
    expect((await send('GET', '/console/api/v1/admin/instances', { headers })).status).toBe(401);
  });
});

describe('a forged request', () => {
  const forged: [string, Record<string, string>][] = [
    ['without the header of the console', { 'sec-fetch-site': 'same-origin' }],
    ['from another site', { ...PAGE, 'sec-fetch-site': 'cross-site' }],
    ['from another origin of the same site', { ...PAGE, 'sec-fetch-site': 'same-site' }],
    ['that a user typed', { ...PAGE, 'sec-fetch-site': 'none' }],
    ['of an old browser, from another origin', { 'x-thermidora-console': '1', origin: 'https://evil.example' }],
    ['of a sandboxed frame', { 'x-thermidora-console': '1', origin: 'null' }],
  ];
  const calls: [string, string][] = [
    ['GET', '/console/api/v1/instances'],
    ['POST', '/console/api/v1/instances'],
    ['DELETE', '/console/api/v1/auth/keys/key_nothingnothing00'],
    ['PATCH', '/console/api/v1/instances/inst_nothingnothing00'],
    ['POST', '/console/session'],
    ['DELETE', '/console/session'],
  ];

  test.each(forged)('%s is 403 at every method, and changes nothing', async (_what, headers) => {
    const cookie = await signIn();
    for (const [method, path] of calls) {
      const body = method === 'POST' || method === 'PATCH' ? { name: 'forged' } : undefined;
      const answer = await send(method, path, { cookie, headers, ...(body ? { body } : {}) });
      expect([method, path, answer.status, answer.body.error.code]).toEqual([method, path, 403, 'forbidden']);
    }
    expect((await me(cookie)).status).toBe(200);
    expect((await account.ok('GET', '/instances')).instances).toEqual([]);
  });

  test('of a browser that names no origin for what changes something is 403', async () => {
    const cookie = await signIn();
    const headers = { 'x-thermidora-console': '1' };
    expect((await send('POST', '/console/api/v1/instances', { cookie, headers, body: { name: 'x' } })).status).toBe(403);
    expect((await me(cookie, headers)).status).toBe(200);
    const { host } = new URL(api.url);
    expect((await me(cookie, { ...headers, origin: `http://${host}` })).status).toBe(200);
  });

  test('is not let through by what other origins may do with the API', async () => {
    const preflight = await send('OPTIONS', '/console/api/v1/instances', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    });
    expect(String(preflight.headers['access-control-allow-headers']).toLowerCase()).not.toContain('x-thermidora-console');
    expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
  });
});
