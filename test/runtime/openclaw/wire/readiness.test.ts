import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { GatewayDiedError, GatewayNotReadyError } from '../../../../runtime/gateway/gateway-errors.ts';
import { waitUntilReady } from '../../../../runtime/openclaw/wire/readiness.ts';
import type { ReadinessOptions } from '../../../../runtime/openclaw/wire/readiness.ts';
import { PATIENCE_MS } from '../../../support/eventually.ts';

let server: Server;
let status: number;
let body: string;
let probes: number;

beforeEach(async () => {
  probes = 0;
  status = 503;
  body = '{}';
  server = createServer((_request, response) => {
    probes += 1;
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => void server.close());

function waiting(options: Partial<ReadinessOptions> = {}): Promise<void> {
  // A listening TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const endpoint = { httpUrl: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}` };
  return waitUntilReady(endpoint, {
    signal: AbortSignal.timeout(PATIENCE_MS),
    deadlineMs: PATIENCE_MS,
    isAlive: async () => true,
    exitOf: async () => null,
    ...options,
  });
}

test('it waits until the gateway says that it is ready', async () => {
  await waiting({
    isAlive: async () => {
      if (probes === 2) status = 200;
      return true;
    },
  });
  expect(probes).toBe(3);
});

test('a death ends the wait at once, with how it died', async () => {
  const exit = { at: new Date(0), code: 1, signal: null };
  const death = await waiting({ isAlive: async () => false, exitOf: async () => exit }).catch((error: unknown) => error);
  expect(death).toBeInstanceOf(GatewayDiedError);
  expect(death).toMatchObject({ exit, retryable: true, message: expect.stringContaining('exit code 1') });
});

test('a gateway that cannot run with its configuration is not worth a retry', async () => {
  const exitOf = async () => ({ at: new Date(0), code: 78, signal: null });
  await expect(waiting({ isAlive: async () => false, exitOf })).rejects.toMatchObject({ retryable: false });
});

test('time runs out for one that runs but is never ready', async () => {
  await expect(waiting({ deadlineMs: 50 })).rejects.toThrow(GatewayNotReadyError);
});

test.each([
  ['{"ready":false,"failing":["plugin-reload","state-database"]}', true],
  ['{"ready":false,"failing":["plugin-reload"]}', false],
  ['{"ready":false}', false],
  ['not JSON', false],
])('one that is never ready and says %s: damaged is %s', async (said, isDamaged) => {
  body = said;
  // What it says must have come by then.
  await expect(waiting({ deadlineMs: isDamaged ? 5_000 : 1_000 })).rejects.toMatchObject({ isDamaged });
});

test('one that is slow gets more time, for as long as it is slow', async () => {
  let asked = 0;
  const isSlow = async (): Promise<boolean> => {
    asked += 1;
    status = 200;
    return true;
  };
  await waiting({ deadlineMs: 50, whenSlow: { limitMs: PATIENCE_MS, isSlow } });
  expect(asked).toBe(1);
  status = 503;
  const isNotSlow = { limitMs: PATIENCE_MS, isSlow: async () => false };
  await expect(waiting({ deadlineMs: 50, whenSlow: isNotSlow })).rejects.toThrow(GatewayNotReadyError);
});

test('time runs out also for one that stays slow', async () => {
  const whenSlow = { limitMs: 200, isSlow: async () => true };
  await expect(waiting({ deadlineMs: 50, whenSlow })).rejects.toThrow(GatewayNotReadyError);
});

test('it ends with the signal', async () => {
  const reason = new Error('cancelled');
  await expect(waiting({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
