import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { createLog } from '../../lib/log.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import type { ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { registerAccount } from '../support/register-account.ts';
import { startApiProcess } from './api-process.ts';
import type { ApiProcess } from './api-process.ts';
import { MASTER_KEY } from './api-under-test.ts';
import { newAgent, newInstance } from './rows.ts';
import { removeFolder } from '../support/remove-folder.ts';

const MEBIBYTE = 1024 ** 2;

let api: ApiProcess;
let database: Client;
let account: ApiClient;
let apiKey: string;
let dataDir: string;
let driver: ProcessDriver;
let files: string;
let workspace: string;
const ending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  // It has nothing of what runs instances.
  api = await startApiProcess({ RUNTIME: 'docker', DOCKER_SOCKET: '/nowhere/docker.sock', DATA_DIR: '/nowhere' });
  database = new Client({ connectionString: api.database.url });
  await database.connect();
  account = await registerAccount(api.url, api.operator);
  ({ apiKey } = await account.ok('POST', '/auth/keys', { name: 'k' }));
  dataDir = await mkdtemp(join(tmpdir(), 'worker-files-'));
  driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
});
afterAll(async () => {
  await database.end();
  await api.end();
  await removeFolder(dataDir);
});
beforeEach(async () => {
  const instanceId = await newInstance(account);
  const agentId = await newAgent(account, instanceId);
  files = `/instances/${instanceId}/agents/${agentId}/files`;
  const { rows } = await database.query<{ runtime: string; name: string }>(
    'select runtime_id as runtime, gateway_agent_id as name from agents join instances i on i.id = instance_id where agents.id = $1',
    [agentId],
  );
  await database.query('delete from agent_files where agent_id = $1', [agentId]);
  workspace = driver.paths(rows[0]?.runtime ?? '').workspaceOf(rows[0]?.name ?? '');
  await mkdir(workspace, { recursive: true });
});
afterEach(async () => {
  await database.query(`delete from processes where kind = 'worker'`);
  for (const end of ending.splice(0)) await end();
  await account.ok('DELETE', files.split('/agents')[0] ?? '');
});

/** Enters a worker there that lives as long as the test, however slow that is, and was seen so many seconds before others. */
async function enterWorker(address: string, secondsAgo = 0): Promise<void> {
  await database.query(
    `insert into processes (id, kind, address, started_at, seen_at)
     values ('proc_' || md5(random()::text), 'worker', $1, now(), now() + interval '1 hour' - make_interval(secs => $2))`,
    [address, secondsAgo],
  );
}

async function startWorker(): Promise<string> {
  const server = await startInstanceServer({ driver, masterKeys: [MASTER_KEY], log: createLog('test', 'silent') });
  ending.push(() => server.stop());
  return server.address;
}

/** Something that answers in a worker's place. */
async function startOther(listener: RequestListener): Promise<string> {
  const server = createServer(listener).on('checkContinue', listener).listen(0, '127.0.0.1');
  ending.push(async () => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const call = (method: string, path: string, body?: string | Buffer): Promise<Response> =>
  fetch(`${api.url}/v1${files}${path}`, { method, headers: { 'x-api-key': apiKey }, ...(body === undefined ? {} : { body }) });

const jsonOf = (response: Response): Promise<unknown> => response.json();

describe('an API without DATA_DIR and without a container engine', () => {
  test('writes, lists, reads and removes files by a worker, 25 MiB and all', async () => {
    await enterWorker(await startWorker());
    const large = Buffer.alloc(25 * MEBIBYTE, 'abc');
    expect((await call('PUT', '/out/Ü%20%25.bin', large)).status).toBe(200);
    expect((await account.ok('GET', files)).files).toMatchObject([{ path: 'out/Ü %.bin', size: large.length }]);
    const got = await call('GET', '/out/Ü%20%25.bin');
    expect(Buffer.from(await got.arrayBuffer()).equals(large)).toBe(true);
    expect((await call('GET', '/none')).status).toBe(404);
    expect((await call('HEAD', '/out/Ü%20%25.bin')).headers.get('content-length')).toBe(String(large.length));
    expect(await (await call('DELETE', '/out/Ü%20%25.bin')).json()).toEqual({ path: 'out/Ü %.bin', deleted: true });
    expect((await account.ok('GET', files)).files).toEqual([]);
  });

  test('answers 503 with Retry-After while no worker lives, and stores nothing', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/x'],
      ['PUT', '/x'],
      ['DELETE', '/x'],
    ] as const) {
      const response = await call(method, path, method === 'PUT' ? 'x' : undefined);
      expect([method, path, response.status, response.headers.get('retry-after')]).toEqual([method, path, 503, '5']);
      expect(await jsonOf(response)).toMatchObject({ error: { code: 'unavailable', retryable: true } });
    }
    const [, instanceId] = files.split('/').slice(1);
    const audited = await database.query(`select 1 from audit_entries where action like 'files.%' and instance_id = $1`, [
      instanceId,
    ]);
    expect(audited.rows).toEqual([]);
  });

  test('asks the next worker when one is gone or does not take the request', async () => {
    const gone = await startOther(() => undefined);
    await ending.pop()?.();
    await enterWorker(gone);
    await enterWorker(await startOther((_, response) => response.writeHead(401).end()));
    await enterWorker(await startWorker(), 1);
    expect((await call('PUT', '/x', 'mine')).status).toBe(200);
    expect(await (await call('GET', '/x')).text()).toBe('mine');
  });

  test('answers 503 when the worker dies in the middle of an upload, and the next one is whole', async () => {
    await enterWorker(
      await startOther((request, response) => {
        response.writeContinue();
        request.once('data', () => request.destroy());
      }),
    );
    const response = await call('PUT', '/x', Buffer.alloc(MEBIBYTE));
    expect([response.status, await jsonOf(response)]).toMatchObject([503, { error: { code: 'unavailable' } }]);
    await database.query(`delete from processes where kind = 'worker'`);
    await enterWorker(await startWorker());
    expect((await call('PUT', '/x', Buffer.alloc(MEBIBYTE, 'y'))).status).toBe(200);
    expect(await readFile(join(workspace, 'x'), 'utf8')).toBe('y'.repeat(MEBIBYTE));
  });

  test('gives up a client that goes away: the worker keeps nothing of its upload', async () => {
    await enterWorker(await startWorker());
    const gone = new AbortController();
    const body = new ReadableStream({
      async pull(sink) {
        sink.enqueue(Buffer.alloc(1024));
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const init = { method: 'PUT', headers: { 'x-api-key': apiKey }, body, duplex: 'half', signal: gone.signal } as const;
    const sent = fetch(`${api.url}/v1${files}/x`, init).catch(() => 'gone');
    const drafts = join(workspace, '../../uploads');
    await eventually(async () => expect(await readdir(drafts)).toHaveLength(1));
    gone.abort();
    expect(await sent).toBe('gone');
    await eventually(async () => expect(await readdir(drafts)).toEqual([]));
    expect(await readdir(workspace)).toEqual([]);
  });
});
