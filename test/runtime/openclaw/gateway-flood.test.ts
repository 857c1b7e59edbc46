import { afterEach, describe, expect, test } from '@jest/globals';
import type { WebSocket } from 'ws';
import { cronPages, cronRunPages } from '../../../runtime/openclaw/content/crons.ts';
import { GatewayFloodError } from '../../../runtime/gateway/gateway-errors.ts';
import { connectGateway } from '../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import type { InflowLimits } from '../../../runtime/openclaw/wire/inflow-budget.ts';
import { listSessionsSince } from '../../../runtime/openclaw/conversation/unprompted-runs.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { letIn, startScriptedGateway } from './scripted-gateway.ts';
import type { ScriptedGateway } from './scripted-gateway.ts';

let gateway: ScriptedGateway;
afterEach(() => gateway.close());

const MIB = 1024 ** 2;

async function connected(inflow?: InflowLimits): Promise<{ client: GatewayClient; socket: WebSocket }> {
  gateway ??= await startScriptedGateway();
  const client = await connect(inflow);
  return { client, socket: gateway.sockets.at(-1)! };
}

function connect(inflow?: InflowLimits): Promise<GatewayClient> {
  return connectGateway({
    wsUrl: gateway.wsUrl,
    token: 't',
    signal: AbortSignal.timeout(PATIENCE_MS),
    timeoutMs: PATIENCE_MS,
    inflow,
  });
}

const event = (payload: string): string => `{"type":"event","event":"x","payload":${payload}}`;
const smallLists = (bytes: number): string => event(`[${'[],'.repeat(bytes / 3)}0]`);

describe('a connection is closed for a flood', () => {
  test.each<[string, (socket: WebSocket) => void]>([
    ['a frame of more than 4 MiB', (socket) => socket.send(event(`"${'x'.repeat(4 * MIB)}"`))],
    ['a frame of more than 50,000 values', (socket) => socket.send(smallLists(2 * MIB))],
    ['a binary frame of more than 4 MiB', (socket) => socket.send(Buffer.alloc(4 * MIB + 1))],
    [
      'a message in more than 16,384 pieces',
      (socket) => {
        for (let piece = 0; piece < 17_000; piece += 1) socket.send('x', { fin: false });
      },
    ],
  ])('by %s', async (_, send) => {
    gateway = await startScriptedGateway();
    const { client, socket } = await connected();
    const request = client.request('health', {});
    send(socket);
    await expect(request).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await client.closed;
    expect(client.flood).toBeInstanceOf(GatewayFloodError);
  });

  test.each<[string, (socket: WebSocket) => void]>([
    ['frames', (socket) => socket.send('{}')],
    ['frames of no kind that is known', (socket) => socket.send(Buffer.alloc(1))],
    ['pings', (socket) => socket.ping()],
  ])('by %s that come faster than they may for longer than they may', async (_, send) => {
    gateway = await startScriptedGateway();
    const { client, socket } = await connected({ bytesPerSecond: MIB, framesPerSecond: 100, behindMs: 1_000 });
    const flood = setInterval(() => {
      for (let frame = 0; frame < 100; frame += 1) send(socket);
    }, 10);
    await client.closed;
    clearInterval(flood);
    expect(client.flood?.message).toContain('messages without a pause');
  });

  test('also before it has let us in', async () => {
    gateway = await startScriptedGateway([{ ok: true, payload: { much: 'x'.repeat(5 * MIB) } }]);
    await expect(connect()).rejects.toBeInstanceOf(GatewayFloodError);
  });
});

test('frames of up to 4 MiB arrive, and a burst is read to its end, in its order', async () => {
  gateway = await startScriptedGateway([letIn()], ({ method }) =>
    method === 'large' ? { ok: true, payload: { text: 'x'.repeat(4 * MIB - 200) } } : null,
  );
  const { client, socket } = await connected({ bytesPerSecond: 16 * MIB, framesPerSecond: 1_000, behindMs: 60_000 });
  expect(await client.request('large', {})).toMatchObject({ text: expect.stringMatching(/^x{1000}/) });
  const heard: string[] = [];
  client.onEvent((one) => {
    if (one.kind === 'final') heard.push(one.runId);
  });
  const runs = Array.from({ length: 3_000 }, (_, index) => `run-${index}`);
  for (const runId of runs) socket.send(JSON.stringify({ type: 'event', event: 'chat', payload: finalOf(runId) }));
  await eventually(() => expect(heard).toHaveLength(runs.length));
  expect(heard).toEqual(runs);
  expect(client.flood).toBeNull();
  client.close();
});

const finalOf = (runId: string) => ({ runId, sessionKey: 's', state: 'final', message: { content: 'Well.' } });

test('a frame of ordinary size may have as many commas in its texts as it likes', async () => {
  gateway = await startScriptedGateway([letIn()], () => ({ ok: true, payload: { text: ',[{"'.repeat(500_000) } }));
  const { client } = await connected();
  expect(await client.request('any', {})).toMatchObject({ text: expect.stringMatching(/^,\[\{",/) });
  client.close();
});

describe('a list of a gateway', () => {
  const lists: [string, string, (client: GatewayClient) => Promise<number>][] = [
    ['cron.list', 'jobs', (client) => count(cronPages(client))],
    ['cron.runs', 'entries', (client) => count(cronRunPages(client))],
    ['sessions.list', 'sessions', async (client) => (await listSessionsSince(client, -1)).length],
  ];
  async function count(pages: AsyncIterable<unknown>): Promise<number> {
    let found = 0;
    for await (const _ of pages) found += 1;
    return found;
  }
  const session = { key: 'agent:a:conv:c', updatedAt: 1 };
  const pageOf = (list: string, nextOffset: number | null) => ({
    ok: true as const,
    payload: { [list]: list === 'sessions' ? [session] : [], hasMore: nextOffset !== null, nextOffset },
  });

  test.each(lists)('%s that has no end is a flood', async (method, list, read) => {
    gateway = await startScriptedGateway([letIn()], ({ params }) => pageOf(list, (params as { offset: number }).offset + 1));
    const { client } = await connected();
    await expect(read(client)).rejects.toThrow(`${method} has more than`);
    await client.closed;
    expect(client.flood).toBeInstanceOf(GatewayFloodError);
    expect(gateway.requests.filter((one) => one.method === method)).toHaveLength(method === 'cron.list' ? 1_000 : 50);
  });

  test.each(lists)('%s whose page leads back to itself is a flood', async (method, list, read) => {
    gateway = await startScriptedGateway([letIn()], () => pageOf(list, 0));
    const { client } = await connected();
    await expect(read(client)).rejects.toThrow(`a page of ${method} leads back`);
    expect(gateway.requests.filter((one) => one.method === method)).toHaveLength(1);
  });

  test.each(lists)('%s may have as many pages as it can', async (method, list, read) => {
    const pages = method === 'cron.list' ? 1_000 : 50;
    gateway = await startScriptedGateway([letIn()], ({ params }) => {
      const next = (params as { offset: number }).offset + 1;
      return pageOf(list, next < pages ? next : null);
    });
    const { client } = await connected();
    expect(await read(client)).toBe(pages);
    client.close();
  });
});
