import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createExplainUnparsed } from '../../api/http/explain-unparsed.ts';
import { startApi } from './api-under-test.ts';
import type { ApiUnderTest } from './api-under-test.ts';

/** What no ordinary client sends: bytes that are no request, odd targets and hosts. Every answer is still one of ours. */
let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

interface Answer {
  status: number;
  headers: Map<string, string>;
  body: string;
}

/** Sends these bytes and reads the one answer until the connection ends. */
async function send(bytes: string): Promise<Answer> {
  const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes, 'latin1');
  const [head = '', ...rest] = (await text(socket)).split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { status: Number(statusLine.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}

const get = (target: string, ...headers: string[]): string =>
  `GET ${target} HTTP/1.1\r\n${['Connection: close', ...headers].map((line) => `${line}\r\n`).join('')}\r\n`;

function expectEnvelope(answer: Answer, status: number, code: string): void {
  const { error } = JSON.parse(answer.body);
  expect([answer.status, error.status, error.code]).toEqual([status, status, code]);
  expect(error.message).toMatch(/^\S.*\.$/);
  expect(answer.headers.get('x-request-id')).toBe(error.requestId);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
}

describe('a Host header', () => {
  test.each(['a b', 'a/b', '/', 'user@host', 'a?b', 'a#b', '[::1', '::1', 'a:b', 'a:123456', '<x>', 'a\\b', '\u00fcber', '{'])(
    'that is %p is refused with the error envelope, whatever is asked for',
    async (host) => {
      for (const target of ['/v1/skills?limit=1', '/v1/nothing', '/docs', '/livez'])
        expectEnvelope(await send(get(target, `Host: ${host}`)), 400, 'invalid_request');
    },
  );

  test.each([
    '',
    'x',
    'api.example.com',
    'api.example.com:443',
    'api.example.com.:',
    '127.0.0.1:3000',
    '[::1]:3000',
    'a_b',
    'a%20b',
  ])('that is %p is taken', async (host) => {
    for (const target of ['/v1/skills?limit=1', '/docs', '/livez'])
      expect((await send(get(target, `Host: ${host}`))).status).toBe(200);
  });

  test('is required once by HTTP/1.1 and not by HTTP/1.0', async () => {
    expectEnvelope(await send(get('/v1/skills')), 400, 'invalid_request');
    expectEnvelope(await send(get('/v1/skills', 'Host: a', 'Host: a')), 400, 'invalid_request');
    expect((await send('GET /v1/skills HTTP/1.0\r\n\r\n')).status).toBe(200);
    expectEnvelope(await send('GET /v1/skills HTTP/1.0\r\nHost: a b\r\n\r\n'), 400, 'invalid_request');
  });
});

describe('a target', () => {
  test('with a host in it is its path', async () => {
    for (const target of ['http://api.example.com/v1/skills?limit=1', 'HTTPS://other.example:8443/v1/skills', 'http://x/livez'])
      expect([target, (await send(get(target, 'Host: x'))).status]).toEqual([target, 200]);
    expectEnvelope(await send(get('http://x/v1/instances?limit=1', 'Host: x')), 401, 'unauthorized');
    expectEnvelope(await send(get('http://x', 'Host: x')), 404, 'not_found');
  });

  test.each(['http://[::1/v1/skills', 'http://a:99999/v1/skills', 'http:///', 'ftp://x/v1/skills', 'http://%/v1/skills'])(
    'that is %p is refused with the error envelope',
    async (target) => expectEnvelope(await send(get(target, 'Host: x')), 400, 'invalid_request'),
  );

  test.each(['//x/v1/skills', '//[::1#', '/v1//skills', '/v1/nothing#[', '/%', '/v1/skills\\..', '/?'])(
    'that is %p names nothing',
    async (target) => expectEnvelope(await send(get(target, 'Host: x')), 404, 'not_found'),
  );
});

describe('what the parser cannot read', () => {
  const start = 'POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';

  test.each([
    ['an unknown method', 'FOO /v1/skills HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no method', '\r\n\r\n\u0000\r\n\r\n'],
    ['the beginning of TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000'],
    ['the beginning of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version that does not exist', 'GET /v1/skills HTTP/9.9\r\nHost: x\r\n\r\n'],
    ['a header without a colon', get('/v1/skills', 'Host: x', 'nothing')],
    ['a blank before the colon', get('/v1/skills', 'Host: x', 'X-A : b')],
    ['a blank in the target', get('/v1/sk ills', 'Host: x')],
    ['two lengths', `${start}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
    ['a length and chunks', `${start}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`],
    ['a chunk without a length', `${start}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`],
    ['a tunnel', 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n'],
  ])('%s is refused with the error envelope', async (_what, bytes) => expectEnvelope(await send(bytes), 400, 'invalid_request'));

  test('headers that are too large are refused with the error envelope', async () => {
    expectEnvelope(await send(get('/v1/skills', 'Host: x', `X-Long: ${'x'.repeat(20_000)}`)), 431, 'headers_too_large');
    expectEnvelope(await send(get(`/v1/skills?x=${'x'.repeat(20_000)}`, 'Host: x')), 431, 'headers_too_large');
  });

  test('chunks with too many extensions are refused with the error envelope', async () => {
    const bytes = `${start}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`;
    expectEnvelope(await send(bytes), 413, 'payload_too_large');
  });

  test('what does not arrive in time is refused with the error envelope', () => {
    const { headers, body } = createExplainUnparsed(api.deps)(408);
    const { error } = JSON.parse(body);
    expect(error).toMatchObject({ code: 'request_timeout', status: 408, requestId: headers['X-Request-Id'], retryable: true });
  });

  test('an expectation that is unknown is refused with the error envelope, and 100-continue is met', async () => {
    expectEnvelope(await send(get('/v1/skills', 'Host: x', 'Expect: 200-ok')), 417, 'expectation_failed');
    const { status, body } = await send(get('/v1/skills', 'Host: x', 'Expect: 100-Continue'));
    expect([status, body.startsWith('HTTP/1.1 200 ')]).toEqual([100, true]);
  });
});
