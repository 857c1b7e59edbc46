import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Endpoint } from '../../runtime/driver.ts';
import type { Slowness } from '../../runtime/slowness.ts';
import { createProofRounds } from '../../worker/gateways/proof-rounds.ts';
import type { ProbeAnswer } from '../../worker/gateways/silence.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;
let server: Server;
let isAnswering: boolean;

beforeAll(async () => {
  database = await openTestOrm();
  server = createServer((_request, response) => void (isAnswering && response.end('{}'))).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await database.close();
});

beforeEach(() => {
  isAnswering = false;
});

interface World {
  endpoint?: () => Promise<Endpoint | null>;
  slowness?: Slowness;
  /** How long this process is paused while it waits for the answer. */
  pausedMs?: number;
}

/** How one round counts for the only gateway that is watched. */
async function roundCounts({ endpoint = listening, slowness, pausedMs = 0 }: World): Promise<ProbeAnswer[]> {
  const counted: ProbeAnswer[] = [];
  let looks = 0;
  const rounds = createProofRounds({
    orm: database.orm,
    driver: { endpoint },
    leases: { held: () => ({ owner: 'proc_1', epochs: new Map([[3, 1]]) }) },
    watches: () => [
      {
        gateway: { instanceId: 'inst_1', runtimeId: 'run_1', bootId: 'boot-1', shard: 3, shardEpoch: 1 },
        isConnected: () => true,
        isOver: () => false,
        isSlow: () => false,
        readSlowness: async () => slowness ?? null,
        countProbe: (answer) => void counted.push(answer),
        noteUnready: () => undefined,
        stop: async () => undefined,
      },
    ],
    monotonicMs: () => performance.now() + (looks++ === 0 ? 0 : pausedMs),
  });
  await rounds.run();
  return counted;
}

async function listening(): Promise<Endpoint> {
  // A listening TCP server has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return { httpUrl: `http://127.0.0.1:${port}`, wsUrl: `ws://127.0.0.1:${port}`, peer: 'loopback' };
}

test('a probe counts as answered whatever the machine does', async () => {
  isAnswering = true;
  expect(await roundCounts({ slowness: 'starved', pausedMs: 60_000 })).toEqual(['answered']);
});

test('a gateway that has no address counts as silence, whatever the machine does', async () => {
  expect(await roundCounts({ endpoint: async () => null })).toEqual(['silent']);
  expect(await roundCounts({ endpoint: async () => null, slowness: 'starved', pausedMs: 60_000 })).toEqual(['silent']);
});

test('a probe without an answer counts as what explains it, and as silence when nothing does', async () => {
  expect(await roundCounts({ slowness: 'busy' })).toEqual(['busy']);
  expect(await roundCounts({})).toEqual(['silent']);
});

test('a probe whose answer this process came too late for is explained by that', async () => {
  expect(await roundCounts({ pausedMs: 60_000 })).toEqual(['starved']);
});

test('while the driver cannot say where a gateway is, nothing is counted against it', async () => {
  expect(await roundCounts({ endpoint: async () => Promise.reject(new Error('the engine is away')) })).toEqual([]);
});
