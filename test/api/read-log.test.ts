import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { createLog } from '../../lib/log.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import type { ApiClient } from '../support/api-client.ts';
import { registerAccount } from '../support/register-account.ts';
import { startApiProcess } from './api-process.ts';
import type { ApiProcess } from './api-process.ts';
import { MASTER_KEY } from './api-under-test.ts';
import { removeFolder } from '../support/remove-folder.ts';

const MEBIBYTE = 1024 ** 2;

let api: ApiProcess;
let database: Client;
let account: ApiClient;
let dataDir: string;
let runtimeId: string;
let path: string;
const ending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  // It has nothing of what runs instances.
  api = await startApiProcess({ RUNTIME: 'docker', DOCKER_SOCKET: '/nowhere/docker.sock', DATA_DIR: '/nowhere' });
  database = new Client({ connectionString: api.database.url });
  await database.connect();
  account = await registerAccount(api.url, api.operator);
  dataDir = await mkdtemp(join(tmpdir(), 'read-log-'));
});
afterAll(async () => {
  await database.end();
  await api.end();
  await removeFolder(dataDir);
});
beforeEach(async () => {
  const { instanceId } = await account.ok('POST', '/instances', { name: 'with a log' });
  path = `/instances/${instanceId}/logs?limit=1000`;
  const { rows } = await database.query<{ id: string }>('select runtime_id as id from instances where id = $1', [instanceId]);
  runtimeId = rows[0]?.id ?? '';
});
afterEach(async () => {
  await database.query(`delete from processes where kind = 'worker'`);
  for (const end of ending.splice(0)) await end();
});

/** Longer than the hour that others live. */
const DEAD = 3_660;

/** Enters a worker that serves logs there and lives as long as the test, however slow that is, and was seen so many seconds before others. */
async function enterWorker(address: string | null, secondsAgo = 0): Promise<void> {
  await database.query(
    `insert into processes (id, kind, address, started_at, seen_at)
     values ('proc_' || md5(random()::text), 'worker', $1, now(), now() + interval '1 hour' - make_interval(secs => $2))`,
    [address, secondsAgo],
  );
}

async function startWorker(text: string): Promise<string> {
  await mkdir(join(dataDir, 'runtimes', runtimeId), { recursive: true });
  await writeFile(join(dataDir, 'runtimes', runtimeId, 'output.log'), text);
  const driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
  const server = await startInstanceServer({ driver, masterKeys: [MASTER_KEY], log: createLog('test', 'silent') });
  ending.push(() => server.stop());
  return server.address;
}

/** Something that answers in a worker's place. */
async function startOther(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener).listen(0, '127.0.0.1');
  ending.push(async () => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function expectUnavailable(): Promise<void> {
  const response = await account.call('GET', path);
  expect([response.status, response.body.error]).toMatchObject([503, { code: 'unavailable', retryable: true }]);
  expect(response.body.error.message).toContain('Try again in a few seconds');
  expect(response.headers.get('retry-after')).toBe('5');
}

describe('an API without DATA_DIR and without a container engine', () => {
  test('answers with the log that a worker reads', async () => {
    await enterWorker(await startWorker('one\ntwo\n'));
    expect(await account.ok('GET', path)).toEqual({
      lines: [
        { at: null, text: 'one' },
        { at: null, text: 'two' },
      ],
    });
  });

  test('answers with the longest log that a worker reads, whatever its bytes are', async () => {
    const line = `${String.fromCharCode(1).repeat(255)}\n`;
    await enterWorker(await startWorker(line.repeat(1_100)));
    const { lines } = await account.ok('GET', path);
    expect([lines.length, lines[0].text]).toEqual([1_000, line.trimEnd()]);
  });

  test('answers 503 with Retry-After while no worker lives, or none that serves logs', async () => {
    await expectUnavailable();
    await enterWorker(null);
    await enterWorker(await startWorker('one\n'), DEAD);
    await expectUnavailable();
  });

  test('asks the next worker when one is gone, does not know its key, or answers something else', async () => {
    const gone = await startOther(() => undefined);
    await ending.pop()?.();
    for (const address of [gone, await startOther((_, response) => response.end('{"lines":"none"}'))]) await enterWorker(address);
    await enterWorker(await startWorker('one\n'), 1);
    expect(await account.ok('GET', path)).toEqual({ lines: [{ at: null, text: 'one' }] });
  });

  test('asks three workers at most', async () => {
    let asked = 0;
    const refuse: RequestListener = (_, response) => {
      asked += 1;
      response.writeHead(401).end();
    };
    for (let count = 0; count < 5; count += 1) await enterWorker(await startOther(refuse));
    await expectUnavailable();
    expect(asked).toBe(3);
  });

  test('takes no answer that goes on and on, and follows none to another place', async () => {
    const reached: string[] = [];
    const inner = await startOther((request, response) => {
      reached.push(request.url ?? '');
      response.end('{"lines":[]}');
    });
    await enterWorker(await startOther((_, response) => response.writeHead(302, { location: `${inner}/elsewhere` }).end()));
    let sent = 0;
    const endless = await startOther((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536))) sent += 65_536;
      };
      response.on('drain', more);
      more();
    });
    await enterWorker(endless);
    await expectUnavailable();
    expect(reached).toEqual([]);
    expect(sent).toBeLessThan(64 * MEBIBYTE);
  });
});
