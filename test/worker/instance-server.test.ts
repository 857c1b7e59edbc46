import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { deriveKey } from '../../lib/crypto/derive-key.ts';
import { createLog } from '../../lib/log.ts';
import type { LogLine, RuntimeDriver } from '../../runtime/driver.ts';
import { workerTicket } from '../../runtime/worker-ticket.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import type { InstanceServer } from '../../worker/serving/instance-server.ts';
import { removeFolder } from '../support/remove-folder.ts';

const KEYS = [
  { id: 'new', key: randomBytes(32) },
  { id: 'old', key: randomBytes(32) },
];
const RUNTIME = 'run_of_this_test';

let dataDir: string;
let server: InstanceServer;
let driver: RuntimeDriver;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'instance-server-'));
  await mkdir(join(dataDir, 'runtimes', RUNTIME), { recursive: true });
  await writeFile(join(dataDir, 'runtimes', RUNTIME, 'output.log'), 'one\ntwo\nthree\n');
  driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
  await serve(driver);
});
afterEach(async () => {
  await server.stop();
  await removeFolder(dataDir);
});

function servedBy(logs: RuntimeDriver['logs']): Pick<RuntimeDriver, 'logs' | 'files' | 'readState' | 'inspect'> {
  const { files } = driver;
  return { logs, files, readState: (...given) => driver.readState(...given), inspect: (id) => driver.inspect(id) };
}

async function serve(logs: Pick<RuntimeDriver, 'logs'>): Promise<void> {
  await server?.stop();
  const served = servedBy((...given) => logs.logs(...given));
  server = await startInstanceServer({ driver: served, masterKeys: KEYS, log: createLog('test', 'silent') });
}

const ticketOf = (runtimeId = RUNTIME, keys = KEYS) =>
  workerTicket(keys, { kind: 'log', address: server.address, subject: runtimeId });

function ask(path: string, authorization: string | null = `Bearer ${ticketOf()}`, method = 'GET'): Promise<Response> {
  return fetch(`${server.address}${path}`, { method, headers: authorization === null ? {} : { authorization } });
}

const LOG = `/runtimes/${RUNTIME}/logs?limit=2`;

describe('the server of logs of a worker', () => {
  test('shows the last lines to the holder of a ticket, also of one that was made with an older key', async () => {
    const lines = [
      { at: null, text: 'two' },
      { at: null, text: 'three' },
    ];
    for (const keys of [KEYS, KEYS.slice(1)]) {
      const response = await ask(LOG, `Bearer ${ticketOf(RUNTIME, keys)}`);
      expect([response.status, await response.json()]).toEqual([200, { lines }]);
    }
  });

  test.each<[what: string, authorization: () => string | null]>([
    ['no ticket', () => null],
    ['something else', () => `Basic ${ticketOf()}`],
    ['a master key', () => `Bearer ${KEYS[0]?.key.toString('base64')}`],
    ['a ticket for another runtime', () => `Bearer ${ticketOf('run_of_another')}`],
    [
      'a ticket for another server',
      () => `Bearer ${workerTicket(KEYS, { kind: 'log', address: 'http://127.0.0.1:1', subject: RUNTIME })}`,
    ],
    ['a ticket for files', () => `Bearer ${workerTicket(KEYS, { kind: 'files', address: server.address, subject: RUNTIME })}`],
    ['a ticket of another key with the same name', () => `Bearer ${ticketOf(RUNTIME, [{ id: 'new', key: randomBytes(32) }])}`],
    ['a ticket of an unknown key', () => `Bearer ${ticketOf(RUNTIME, [{ id: 'other', key: randomBytes(32) }])}`],
    ['a ticket that has expired', () => `Bearer ${signed({ expiresIn: -1 })}`],
    ['a ticket without a signature', () => `Bearer ${signed({ algorithm: 'none' })}`],
  ])('answers 401 to %s', async (_, authorization) => {
    const response = await ask(LOG, authorization());
    expect([response.status, await response.text()]).toEqual([401, '']);
  });

  test.each([
    ['GET', '/'],
    ['GET', '/metrics'],
    ['GET', `/runtimes/${RUNTIME}/logs`],
    ['GET', `/runtimes/${RUNTIME}/logs?limit=0`],
    ['GET', `/runtimes/${RUNTIME}/logs?limit=1001`],
    ['GET', `/runtimes/${RUNTIME}/logs?limit=2&follow=1`],
    ['GET', `/runtimes/${RUNTIME}/files?limit=2`],
    ['GET', `/runtimes/..%2f${RUNTIME}/logs?limit=2`],
    ['GET', '/containers/json'],
    ['POST', LOG],
    ['DELETE', `/runtimes/${RUNTIME}`],
  ])('has nothing else: %s %s is 404', async (method, path) => {
    expect((await ask(path, `Bearer ${ticketOf()}`, method)).status).toBe(404);
  });

  test('reads four logs at once and lets sixteen wait: one more is 503 with Retry-After', async () => {
    const begun: (() => void)[] = [];
    let most = 0;
    const logs = () =>
      new Promise<LogLine[]>(
        (resolve) =>
          (most = Math.max(
            most,
            begun.push(() => resolve([])),
          )),
      );
    await serve({ logs });
    const asked = Array.from({ length: 21 }, () => ask(LOG));
    const first = await Promise.race(asked);
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '2']);
    expect(most).toBe(4);
    const finishing = setInterval(() => begun.splice(0).forEach((finish) => finish()), 1);
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    clearInterval(finishing);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
  });

  test('is at the address and the port of this machine that it is given, and a ticket names them', async () => {
    await server.stop();
    const given = { driver: servedBy(() => Promise.resolve([])), masterKeys: KEYS };
    server = await startInstanceServer({ ...given, log: createLog('test', 'silent'), host: '127.0.0.2' });
    expect(server.address).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/);
    expect((await ask(LOG)).status).toBe(200);
    const port = Number(new URL(server.address).port);
    await server.stop();
    server = await startInstanceServer({ ...given, log: createLog('test', 'silent'), host: '::1', port });
    expect(server.address).toBe(`http://[::1]:${port}`);
    expect((await ask(LOG)).status).toBe(200);
  });

  test('answers 503 when the log cannot be read, and goes on', async () => {
    let calls = 0;
    await serve({
      async logs() {
        calls += 1;
        if (calls === 1) throw new Error('the engine is away');
        return [];
      },
    });
    expect((await ask(LOG)).status).toBe(503);
    expect((await ask(LOG)).status).toBe(200);
  });
});

/** A ticket as ours, but for this. */
function signed(options: jwt.SignOptions): string {
  const [{ id, key } = { id: '', key: Buffer.alloc(0) }] = KEYS;
  const claims = { aud: server.address, sub: RUNTIME };
  const secret = options.algorithm === 'none' ? '' : deriveKey(key, 'log-ticket');
  return jwt.sign(claims, secret, { algorithm: 'HS256', keyid: id, expiresIn: 60, ...options });
}
