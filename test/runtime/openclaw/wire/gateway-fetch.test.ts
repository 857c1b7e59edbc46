import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { answersProbe } from '../../../../worker/gateways/probe-gateway.ts';
import { waitForAgents } from '../../../../runtime/openclaw/content/agent-liveness.ts';
import { approveDevice } from '../../../../runtime/openclaw/wire/device-identity.ts';
import { gatewayFetch } from '../../../../runtime/openclaw/wire/gateway-fetch.ts';
import { probeReadiness } from '../../../../runtime/openclaw/wire/readiness.ts';
import { residentMiB } from '../../../support/resident-memory.ts';
import { PATIENCE_MS } from '../../../support/eventually.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A service of the machine that nobody but us reaches, and a gateway that sends us there. */
async function redirecting(
  status: number,
): Promise<{ endpoint: { httpUrl: string; wsUrl: string; peer: 'loopback' }; reached: string[] }> {
  const reached: string[] = [];
  const inner = await serve((request, response) => {
    reached.push(`${request.method} ${request.url}`);
    response.end('{}');
  });
  const httpUrl = await serve((_, response) => response.writeHead(status, { location: `${inner}/internal` }).end());
  return { endpoint: { httpUrl, wsUrl: httpUrl.replace('http', 'ws'), peer: 'loopback' }, reached };
}

const signal = (): AbortSignal => AbortSignal.timeout(PATIENCE_MS);

test.each([301, 302, 303, 307, 308])('a gateway that answers %d sends nobody to another address', async (status) => {
  const { endpoint, reached } = await redirecting(status);
  expect(await probeReadiness(endpoint, PATIENCE_MS)).toEqual({ failing: [] });
  expect(await answersProbe(endpoint, PATIENCE_MS, () => undefined)).toBe(true);
  const approved = approveDevice({ wsUrl: endpoint.wsUrl, token: 't', signal: signal() }, 'chosen-by-an-attacker');
  await expect(approved).rejects.toThrow(`did not pair us (${status})`);
  const waited = waitForAgents(endpoint, 't', { present: ['a'], absent: [] }, { signal: signal(), deadlineMs: 300 });
  await expect(waited).rejects.toThrow('did not take up its agents');
  expect(reached).toEqual([]);
});

test('of a body without an end its beginning is read, and the connection is closed', async () => {
  const closed = Promise.withResolvers<void>();
  const url = await serve((_, response) => {
    response.once('close', () => closed.resolve());
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  });
  const before = await residentMiB(process.pid);
  const { status, text } = await gatewayFetch(url, { timeoutMs: PATIENCE_MS });
  await closed.promise;
  expect([status, text.length]).toEqual([200, 65_536]);
  expect((await residentMiB(process.pid)) - before).toBeLessThan(50);
});

test('a body that comes too slowly is given up when the time is over', async () => {
  const url = await serve((_, response) => {
    const drip = setInterval(() => response.write('x'), 10);
    response.once('close', () => clearInterval(drip));
  });
  await expect(gatewayFetch(url, { timeoutMs: 200 })).rejects.toMatchObject({ name: 'TimeoutError' });
});
