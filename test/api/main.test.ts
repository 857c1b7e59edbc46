import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json, text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { freePorts } from '../local/free-ports.ts';
import { createApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { asRole, createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { OPERATOR_TOKEN } from './api-under-test.ts';
import { removeFolder } from '../support/remove-folder.ts';

const MAIN = join(import.meta.dirname, '../../api/main.ts');
const MAX_IDLE_BYTES = 150 * 1024 ** 2;

let database: TestDatabase;
let dataDir: string;

beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = await mkdtemp(join(tmpdir(), 'api-main-'));
});

afterAll(async () => {
  await database.drop();
  await removeFolder(dataDir);
});

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function start(settings: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'pipe'], env: settings });
  children.push(child);
  return child;
}

interface ApiProcess {
  child: ChildProcess;
  url: string;
  metricsUrl: string;
}

async function startReady(): Promise<ApiProcess> {
  const port = await freePorts(2);
  const metricsPort = port + 1;
  const child = start({
    DATABASE_URL: asRole(database.url, 'api'),
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    SMTP_URL: 'print:',
    PORT: String(port),
    METRICS_PORT: String(metricsPort),
    MASTER_KEYS: `test:${Buffer.alloc(32, 7).toString('base64')}`,
    OPERATOR_TOKEN,
    DATA_DIR: dataDir,
  });
  child.stdout?.resume();
  child.stderr?.resume();
  const url = `http://127.0.0.1:${port}`;
  await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
  return { child, url, metricsUrl: `http://127.0.0.1:${metricsPort}/metrics` };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const exited = once(child, 'exit');
  child.kill(signal);
  return (await exited)[0];
}

test('a wrong setting stops the start with a sentence that names it', async () => {
  const child = start({ DATABASE_URL: 'nonsense' });
  child.stdout?.resume();
  const [output, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
  expect(code).toBe(1);
  expect(output).toContain('These settings are wrong or missing');
  expect(output).toContain('DATABASE_URL: ');
  expect(output).not.toContain(' at ');
});

test('it serves without Temporal and without OpenClaw, in little memory, and ends at a signal', async () => {
  const { child, url, metricsUrl } = await startReady();
  expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({ database: 'up', temporal: 'down' });
  const client = createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` });
  expect(await client.ok('GET', '/admin/invites')).toEqual({ invites: [], nextCursor: null });
  // Idle is a process that has collected what its start left behind.
  await eventually(async () => {
    const metrics = await (await fetch(metricsUrl)).text();
    expect(metrics).toContain(
      'thermidora_api_request_duration_seconds_count{process="api",operation="invites.list",status="200"} 1',
    );
    const bytes = Number(/^process_resident_memory_bytes.* (\d+)$/m.exec(metrics)?.[1]);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(MAX_IDLE_BYTES);
  });
  expect(await end(child, 'SIGTERM')).toBe(0);
});

test('a drain lets what is under way end, answers what waits, and gives its lease back', async () => {
  const { child, url } = await startReady();
  const operator = createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` });
  const { code: inviteCode } = await operator.ok('POST', '/admin/invites', {});
  const { token } = await operator.ok('POST', '/auth/register', { name: 'x', email: 'x@example.com', inviteCode });
  const account = createApiClient(url, { authorization: `Bearer ${token}` });
  const { instanceId } = await account.ok('POST', '/instances', { name: 'x' });
  const headers = { authorization: `Bearer ${token}`, expect: '100-continue' };
  const waiting = request(`${url}/v1/instances/${instanceId}/wait?timeout=60`, { headers });
  const answer = once(waiting, 'response');
  waiting.end();
  // The server has the call now.
  await once(waiting, 'continue');
  const exit = end(child, 'SIGTERM');
  const [response] = await answer;
  expect([response.statusCode, await json(response)]).toEqual([200, expect.objectContaining({ status: 'provisioning' })]);
  expect(await exit).toBe(0);
});
