import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { operations } from '../../api/operations/index.ts';
import { freePorts } from '../local/free-ports.ts';
import type { ApiClient } from '../support/api-client.ts';
import { createApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { registerAccount } from '../support/register-account.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { OPERATOR_TOKEN } from './api-under-test.ts';

const IDLE = 10_000;
const SLOW = 500;
const WAITING = 300;
const AT_ONCE = 500;
const LONG_MS = 120_000;

let database: TestDatabase;
let dataDir: string;
let child: ChildProcess;
let port: number;
let account: ApiClient & { accountId: string };
let key: string;
let operator: ApiClient;

/** A process of its own: client and server each need a file for every connection. */
beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = await mkdtemp(join(tmpdir(), 'exhaustion-'));
  port = await freePorts(2);
  const settings = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    SMTP_URL: 'print:',
    PORT: String(port),
    METRICS_PORT: String(port + 1),
    MASTER_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
    OPERATOR_TOKEN,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '1000000',
    AUTH_RATE_LIMIT_PER_MINUTE: '1000000',
    MAX_WAITS_PER_ACCOUNT: '1000',
  };
  child = spawn(process.execPath, [join(import.meta.dirname, '../../api/main.ts')], { stdio: 'ignore', env: settings });
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => {
    if ((await fetch(`${url}/readyz`)).status !== 200) throw new Error('the API is not ready');
  });
  operator = createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` });
  account = await registerAccount(url, operator);
  key = (await account.ok('POST', '/auth/keys', { name: 'raw' })).apiKey;
}, LONG_MS);

afterAll(async () => {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  await database.drop();
  await rm(dataDir, { recursive: true, force: true });
});

async function open(bytes = ''): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
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
  LONG_MS,
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
  LONG_MS,
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
  LONG_MS,
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
  LONG_MS,
);
