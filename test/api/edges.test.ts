import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BASE_PATH } from '../../api/http/base-path.ts';
import type { Operation } from '../../api/contract/define-operation.ts';
import { createOpenapi } from '../../api/contract/openapi.ts';
import { operations } from '../../api/operations/index.ts';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient } from '../support/api-client.ts';
import { startApi } from './api-under-test.ts';
import type { AccountClient, ApiUnderTest } from './api-under-test.ts';
import { newAgent, newInstance, newTurn, makeRunning } from './rows.ts';

/** What hostile and careless clients send, to every operation. contract.test.ts has what a correct client may rely on. */
let api: ApiUnderTest;
let owner: ApiClient;
let stranger: AccountClient;
let credentials: Record<string, string>;
let owned: Record<string, string>;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '1000', CORS_ORIGINS: 'https://app.example.com' } });
  const account = await api.newAccount();
  stranger = await api.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'mine' });
  // A key, which the logout that is among all operations leaves alone.
  credentials = { 'x-api-key': apiKey };
  owner = createApiClient(api.url, credentials);
  const instanceId = await newInstance(owner);
  const agentId = await newAgent(owner, instanceId);
  await makeRunning(api, instanceId);
  const { messageId } = await newTurn(api, { instanceId, agentId });
  // Stopped, so that nothing here waits for a gateway.
  await owner.ok('POST', `/instances/${instanceId}/stop`);
  owned = { instanceId, agentId, messageId };
});

afterAll(() => api.close());

const document = JSON.parse(JSON.stringify(createOpenapi(operations, BASE_PATH)));

function pathOf({ path }: Operation): string {
  return path.replaceAll(/:(\w+)/g, (_match, name: string) => owned[name] ?? `no-${name}`);
}

function exampleBody({ path, method }: Operation): Record<string, unknown> {
  const template = path.replaceAll(/:(\w+)/g, '{$1}');
  return document.paths[template][method.toLowerCase()].requestBody.content['application/json'].example;
}

function headersOf({ auth }: Operation): Record<string, string> {
  if (auth === 'operator') return { authorization: `Bearer ${api.deps.config.OPERATOR_TOKEN}` };
  return auth === 'account' ? credentials : {};
}

interface Raw {
  status: number;
  headers: Headers;
  body: string;
}

async function send(
  operation: Operation,
  bytes?: string | Uint8Array<ArrayBuffer>,
  more: { query?: string; method?: string; headers?: Record<string, string> } = {},
): Promise<Raw> {
  const response = await fetch(`${api.url}/v1${pathOf(operation)}${more.query ?? ''}`, {
    method: more.method ?? operation.method,
    headers: { ...headersOf(operation), ...(bytes === undefined ? {} : { 'content-type': 'application/json' }), ...more.headers },
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** Nothing may surprise us: a success, or an error that says what the caller did. */
function expectCalm({ status, body }: Raw, where: string): void {
  expect([where, status === 500 ? body : '']).toEqual([where, '']);
  const isError = status >= 400 && body !== '';
  const told = isError ? JSON.parse(body).error : { status, requestId: 'none' };
  expect(told).toMatchObject({ status, requestId: expect.any(String) });
}

const named = (list: readonly Operation[]) => list.map((operation) => [operation.operationId, operation] as const);
// What ends things comes last, and what waits for a gateway or has no end not at all.
const isCalm = ({ operationId, success }: Operation) => operationId !== 'instances.wait' && success.stream !== 'only';
const all = [...operations].filter(isCalm).toSorted((a, b) => Number(a.method === 'DELETE') - Number(b.method === 'DELETE'));
const withBody = all.filter(({ body }) => body);
const reads = all.filter(({ method }) => method === 'GET');

describe('every operation', () => {
  test.each(named(all))('%s names exactly the methods of its path in Allow', async (_id, operation) => {
    const methods = operations.filter(({ path }) => path === operation.path).map(({ method }) => method);
    const expected = [...methods, ...(methods.includes('GET') ? ['HEAD'] : [])].toSorted();
    for (const method of ['PUT', 'OPTIONS'].filter((one) => !expected.includes(one))) {
      const { status, headers } = await send(operation, undefined, { method });
      expect([method, status, headers.get('allow')]).toEqual([method, 405, expected.join(', ')]);
    }
  });

  test.each(named(reads))('%s answers HEAD as GET, without the body, and never compressed', async (_id, operation) => {
    const get = await send(operation, undefined, { headers: { 'accept-encoding': 'gzip, br' } });
    const head = await send(operation, undefined, { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([get.status, '']);
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
    expect(get.headers.get('content-encoding')).toBeNull();
  });

  test.each(named(withBody))('%s is not shaken by depth, width, odd numbers and broken text', async (_id, operation) => {
    const deep = (open: string, close: string, count: number) => `${open.repeat(count)}1${close.repeat(count)}`;
    const [first = 'name'] = Object.keys(exampleBody(operation));
    const hostile = [
      deep('[', ']', 100_000),
      deep('{"a":', '}', 50_000),
      `{"${first}":${deep('[', ']', 100_000)}}`,
      `{"unknown":${deep('{"a":', '}', 50_000)}}`,
      `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join(',')}}`,
      `{"${first}":1e999}`,
      `{"${first}":-0}`,
      `{"${first}":${'9'.repeat(400)}}`,
      `{"${first}":"\\ud800"}`,
      `{"${first}":"\\u202e\\u0301${'\u{1F600}'.repeat(500)}"}`,
    ];
    for (const bytes of hostile) expectCalm(await send(operation, bytes), bytes.slice(0, 40));
    for (const bytes of [Uint8Array.of(0x7b, 0xff, 0x7d), Uint8Array.of(0xff, 0xfe, 0x7b, 0x00)])
      expect(operation.params ? [400, 404] : [400]).toContain((await send(operation, bytes)).status);
  });

  test.each(named(withBody))('%s takes the last of duplicate keys and ignores what it does not know', async (_id, operation) => {
    const body = exampleBody(operation);
    const [first = 'name'] = Object.keys(body);
    const twice = JSON.stringify(body).replace('{', `{"${first}":{"wrong":true},`);
    expectCalm(await send(operation, twice), 'duplicate keys');
    const assigned = {
      ...body,
      id: 'inst_chosenbyaclient00',
      accountId: stranger.accountId,
      account: stranger.accountId,
      account_id: stranger.accountId,
      balanceNanoUsd: '999000000000',
      isAdmin: true,
      tokenVersion: 0,
      createdAt: '2000-01-01T00:00:00.000Z',
      emailVerifiedAt: '2000-01-01T00:00:00.000Z',
    };
    const answer = await send(operation, JSON.stringify(assigned));
    expectCalm(answer, 'mass assignment');
    for (const given of [stranger.accountId, 'chosenbyaclient', '2000-01-01']) expect(answer.body).not.toContain(given);
  });

  test.each(named(withBody))('%s lets no body reach a prototype', async (_id, operation) => {
    const body = JSON.stringify(exampleBody(operation)).slice(1);
    const poison = '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}';
    for (const bytes of [`{${poison},${body}`, `{"files":{${poison}},"sender":{${poison}}}`, `{"files":{"__proto__":"x"}}`])
      expectCalm(await send(operation, bytes), bytes.slice(0, 40));
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  test.each(named(all))('%s is not shaken by its query', async (_id, operation) => {
    const names = ['limit', 'cursor', 'status', 'sessionId', '__proto__', 'constructor', 'unknown'];
    for (const value of ['%00', '%', '%E0%A4%A', 'a&limit=1&limit=2', '-1', '1e3', '9'.repeat(400), '%F0%9F%98%80'])
      expectCalm(
        await send(operation, operation.body ? '{}' : undefined, {
          query: `?${names.map((name) => `${name}=${value}`).join('&')}`,
        }),
        value,
      );
  });

  test.each(named(all.filter(({ params }) => params)))(
    '%s finds nothing under a path that cannot name anything',
    async (_id, operation) => {
      for (const odd of [
        '%00',
        '..%2f..%2fetc',
        '%E0%A4%A',
        "';drop table accounts;--",
        'x'.repeat(5_000),
        '%F0%9F%98%80',
        '__proto__',
      ]) {
        const path = operation.path.replaceAll(/:(\w+)/g, odd);
        const response = await fetch(`${api.url}/v1${path}`, { method: operation.method, headers: headersOf(operation) });
        expect([odd, odd === '%E0%A4%A' ? 404 : response.status]).toEqual([odd, 404]);
        expectCalm({ status: response.status, headers: response.headers, body: await response.text() }, odd);
      }
    },
  );
});

describe('a repeated call with an Idempotency-Key', () => {
  const keyed = all.filter(({ idempotent }) => idempotent);

  const replayed: string[] = [];

  beforeAll(async () => {
    // What was there before has been deleted by now.
    const instanceId = await newInstance(owner);
    const { keyId } = await owner.ok('POST', '/auth/keys', { name: 'another' });
    owned = { instanceId, agentId: await newAgent(owner, instanceId, 'another-bot'), keyId };
  });
  test.each(named(keyed))('to %s answers what it answered at first', async (operationId, operation) => {
    const body = operation.body ? JSON.stringify(exampleBody(operation)) : undefined;
    const call = () => send(operation, body, { headers: { 'idempotency-key': 'twice' } });
    const [first, second] = [await call(), await call()];
    expectCalm(first, operationId);
    const isDone = first.status < 300;
    if (isDone) replayed.push(operationId);
    expect([second.status, second.headers.get('idempotent-replayed')]).toEqual([first.status, isDone ? 'true' : null]);
    // Errors are not kept: they differ in the id of their request.
    const [one, two] = [first, second].map((answer) => (isDone ? answer.body : JSON.parse(answer.body).error.message));
    expect(two).toBe(one);
    for (const header of ['location', 'cache-control']) expect(second.headers.get(header)).toBe(first.headers.get(header));
  });

  test('was tried where there is something to repeat', () => {
    expect(replayed).toEqual(
      expect.arrayContaining([
        'keys.create',
        'instances.create',
        'agents.update',
        'secrets.store',
        'instances.delete',
        'invites.create',
      ]),
    );
  });
});

test('an id of a request that is not plain is replaced, and so cannot forge a log line or a header', async () => {
  for (const id of ['a\tb', 'a b', 'x'.repeat(129), '{"level":60}', 'a\u00e9']) {
    const { headers } = await owner.call('GET', '/auth/me', undefined, { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toMatch(/^req_[a-z0-9]{20}$/);
  }
});

test('a name comes back as it is, in the body only', async () => {
  const name = 'x; Set-Cookie: a=b <script>';
  const { body, headers } = await owner.call('POST', '/instances', { name });
  expect([body.name, headers.get('set-cookie')]).toEqual([name, null]);
  expect(headers.get('location')).toBe(`/v1/instances/${body.instanceId}`);
  expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
});

test('text of any script comes back as it went', async () => {
  for (const name of ['日本語', 'العربية', '😀👩‍👩‍👧', 'e\u0301', '\u202eabc'])
    expect((await owner.ok('POST', '/auth/keys', { name })).name).toBe(name);
});

test('a body that is announced as too large is refused before it is sent', async () => {
  const answer = new Promise<string>((resolve) => {
    const sending = request(`${api.url}/v1/auth/keys`, {
      method: 'POST',
      headers: { ...credentials, 'content-type': 'application/json', 'content-length': String(2 ** 40) },
    });
    sending.on('response', (response) => void text(response).then(resolve));
    sending.on('error', () => undefined);
    sending.flushHeaders();
  });
  expect(JSON.parse(await answer).error.code).toBe('payload_too_large');
});

test('a header with a line break inside never becomes two', async () => {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  socket.end('GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rX-Injected: yes\r\nConnection: close\r\n\r\n');
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /);
});

describe('pages of other origins', () => {
  const ask = (origin: string, method = 'OPTIONS') =>
    fetch(`${api.url}/v1/instances`, {
      method,
      headers: { ...credentials, origin, ...(method === 'OPTIONS' ? { 'access-control-request-method': 'POST' } : {}) },
    });

  test('may call when they are allowed to: the preflight names methods and headers, errors can be read too', async () => {
    const preflight = await ask('https://app.example.com');
    expect([
      preflight.status,
      preflight.headers.get('access-control-allow-origin'),
      preflight.headers.get('access-control-allow-credentials'),
    ]).toEqual([204, 'https://app.example.com', null]);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Idempotency-Key');
    for (const path of ['/instances', '/nothing']) {
      const { headers } = await fetch(`${api.url}/v1${path}`, { headers: { ...credentials, origin: 'https://app.example.com' } });
      expect([headers.get('access-control-allow-origin'), headers.get('vary')]).toEqual(['https://app.example.com', 'Origin']);
      expect(headers.get('access-control-expose-headers')).toContain('X-Request-Id');
    }
  });

  test('get nothing otherwise', async () => {
    for (const origin of ['https://evil.example', 'https://app.example.com.evil.example', 'null', 'http://app.example.com']) {
      const preflight = await ask(origin);
      expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
      expect((await ask(origin, 'GET')).headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test('may all call where that is set, and none by default', async () => {
    const [open, closed] = [await startApi({ env: { CORS_ORIGINS: '*' } }), await startApi()];
    const originOf = async ({ url }: ApiUnderTest) =>
      (await fetch(`${url}/v1/models`, { headers: { origin: 'https://any.example' } })).headers.get(
        'access-control-allow-origin',
      );
    expect([await originOf(open), await originOf(closed)]).toEqual(['*', null]);
    await Promise.all([open.close(), closed.close()]);
  });
});

test('credentials belong to one kind of caller', async () => {
  for (const bearer of [api.deps.config.OPERATOR_TOKEN, 'tc_live_x', '', 'null']) {
    const { status } = await createApiClient(api.url, { authorization: `Bearer ${bearer}` }).call('GET', '/auth/me');
    expect(status).toBe(401);
  }
  for (const client of [owner, stranger]) expect((await client.call('GET', '/admin/accounts')).status).toBe(401);
});
