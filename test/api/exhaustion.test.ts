import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { operations } from '../../api/operations/index.ts';
import type { ApiClient } from '../support/api-client.ts';
import { registerAccount } from '../support/register-account.ts';
import { startApiProcess } from './api-process.ts';
import type { ApiProcess } from './api-process.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';

const IDLE = 10_000;
const SLOW = 500;
const WAITING = 300;
const AT_ONCE = 500;

let api: ApiProcess;
let account: ApiClient & { accountId: string };
let key: string;
let operator: ApiClient;

/** A process of its own: client and server each need a file for every connection. */
beforeAll(async () => {
  api = await startApiProcess({ MAX_WAITS_PER_ACCOUNT: '1000', MAX_CALLS_PER_ACCOUNT: '1000' });
  operator = api.operator;
  account = await registerAccount(api.url, operator);
  key = (await account.ok('POST', '/auth/keys', { name: 'raw' })).apiKey;
});

afterAll(() => api.end());

async function open(bytes = ''): Promise<Socket> {
  const socket = connect(api.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (bytes !== '') socket.write(bytes);
  return socket;
}

async function openMany(count: number, bytes?: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => open(bytes)))));
  }
  return sockets;
}

async function closeAll(sockets: readonly Socket[]): Promise<void> {
  await Promise.all(sockets.filter(({ destroyed }) => !destroyed).map((socket) => once(socket.destroy(), 'close')));
}

test(
  'ten thousand connections that say nothing keep nobody from being answered',
  async () => {
    const sockets = await openMany(IDLE);
    expect(sockets.filter(({ destroyed }) => destroyed)).toHaveLength(0);
    expect((await account.call('GET', '/auth/me')).status).toBe(200);
    expect((await account.call('POST', '/auth/keys', { name: 'meanwhile' })).status).toBe(201);
    await closeAll(sockets);
  },
  TEST_LIMIT_MS,
);

test(
  'bodies that never end keep nobody from being answered, and a caller without credentials is refused before its body',
  async () => {
    const head = (credentials: string) =>
      `POST /v1/auth/keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n${credentials}\r\n{`;
    const sockets = await openMany(SLOW, head(`X-API-Key: ${key}\r\n`));
    expect((await account.call('POST', '/auth/keys', { name: 'meanwhile' })).status).toBe(201);
    const stranger = await open(head(''));
    const [answer] = await once(stranger, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
    await closeAll([...sockets, stranger]);
  },
  TEST_LIMIT_MS,
);

test(
  'calls that wait hold no connection to the database',
  async () => {
    const { instanceId } = await account.ok('POST', '/instances', { name: 'x' });
    const gone = new AbortController();
    const wait = () => account.call('GET', `/instances/${instanceId}/wait?timeout=60`, undefined, { signal: gone.signal });
    const waiting = Array.from({ length: WAITING }, () => wait().catch(() => null));
    expect((await account.call('POST', '/auth/keys', { name: 'meanwhile' })).status).toBe(201);
    gone.abort();
    await Promise.all(waiting);
  },
  TEST_LIMIT_MS,
);

/** What makes a regular expression that tries again and again take for ever. */
const HOSTILE = [
  ' '.repeat(100_000) + 'x',
  'a'.repeat(100_000) + '!',
  '0 '.repeat(50_000),
  'a@'.repeat(50_000),
  'a-'.repeat(50_000),
  '../'.repeat(30_000),
  '0.'.repeat(50_000),
];

/** Of nothing, so that a body is read and leads nowhere. */
const IDS: Record<string, string> = {
  instanceId: 'inst_nothingnothing00',
  agentId: 'agt_nothingnothing00',
  webhookId: 'wh_nothingnothing00',
  cronId: 'cron_nothingnothing00',
  accountId: 'acc_nothingnothing00',
};

const withBody = operations.flatMap(({ operationId, method, path, body }) =>
  body instanceof z.ZodObject ? [[operationId, method, path, Object.keys(body.shape)] as const] : [],
);

test.each(withBody)(
  '%s has no field whose text keeps it busy',
  async (_id, method, path, fields) => {
    const concrete = path.replaceAll(/:(\w+)/g, (_match, name: string) => IDS[name] ?? 'x');
    for (const text of HOSTILE) {
      const value = { kind: 'cron', expr: text, [text]: text };
      const texts = Object.fromEntries(fields.map((field) => [field, text]));
      const objects = Object.fromEntries(fields.map((field) => [field, value]));
      for (const body of [texts, objects]) {
        const { status } = await (path.startsWith('/admin') ? operator : account).call(method, concrete, body);
        expect(status).toBeLessThan(500);
      }
    }
  },
  TEST_LIMIT_MS,
);
