import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createLog } from '../../lib/log.ts';
import { ProcessDriver } from '../../runtime/process/process-driver.ts';
import { workerTicket } from '../../runtime/worker-ticket.ts';
import type { WorkerTicket } from '../../runtime/worker-ticket.ts';
import type { RuntimeState } from '../../runtime/driver.ts';
import { startInstanceServer } from '../../worker/serving/instance-server.ts';
import type { InstanceServer } from '../../worker/serving/instance-server.ts';

const KEYS = [{ id: 'test', key: Buffer.alloc(32, 1) }];
const RUNTIME = 'run_1';
let dataDir: string;
let driver: ProcessDriver;
let server: InstanceServer;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'serve-state-'));
  driver = new ProcessDriver({ dataDir, relayUrl: 'http://127.0.0.1:9/v1', program: null });
  await mkdir(driver.paths(RUNTIME).stateDir, { recursive: true });
  await writeFile(join(driver.paths(RUNTIME).stateDir, 'kept'), 'what is stored');
  await serve('exited');
});
afterEach(async () => {
  await server.stop();
  await rm(dataDir, { recursive: true });
});

async function serve(status: RuntimeState['status']): Promise<void> {
  await server?.stop();
  const served = {
    logs: async () => [],
    files: driver.files,
    readState: (runtimeId: string, signal: AbortSignal) => driver.readState(runtimeId, signal),
    inspect: async (runtimeId: string) => ({ runtimeId, status, startedAt: null }),
  };
  server = await startInstanceServer({ driver: served, masterKeys: KEYS, log: createLog('test', 'silent') });
}

function ask(ticket: Partial<WorkerTicket> = {}, runtimeId = RUNTIME): Promise<Response> {
  const proof = workerTicket(KEYS, { kind: 'state', address: server.address, subject: runtimeId, ...ticket });
  return fetch(`${server.address}/runtimes/${runtimeId}/state`, { headers: { authorization: `Bearer ${proof}` } });
}

test('is sent to the holder of a ticket of this runtime alone, and not while its gateway runs', async () => {
  expect(await (await ask()).text()).toMatch(/kept.*what is stored.*-- the state is whole --\n$/s);
  expect((await ask({ subject: 'run_2' })).status).toBe(401);
  expect((await ask({ kind: 'files' })).status).toBe(401);
  expect((await ask({ address: 'http://127.0.0.1:1' })).status).toBe(401);
  for (const status of ['running', 'suspended'] as const) {
    await serve(status);
    expect((await ask()).status).toBe(503);
  }
});

test('of a runtime that stores nothing is empty', async () => {
  const response = await ask({}, 'run_2');
  expect([response.status, response.headers.get('content-length')]).toEqual([200, '0']);
});
