import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import fc from 'fast-check';
import { enterNode } from '../../database/nodes/enter-node.ts';
import { createOrm } from '../../database/orm.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { createLog } from '../../lib/log.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import type { ProcessLease } from '../../turns/process-lease.ts';
import { shareOf, startShardLeases } from '../../worker/gateways/shard-leases.ts';
import type { ShardLeases } from '../../worker/gateways/shard-leases.ts';
import { eventually } from '../support/eventually.ts';
import { startSeverableProxy } from '../relay/severable-proxy.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { makeId } from '../factories.ts';

const log = createLog('test', 'silent');

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database.drop());

interface LeaseHolder {
  orm: MikroORM;
  process: ProcessLease;
  leases: ShardLeases;
}

const holders: LeaseHolder[] = [];

afterEach(async () => {
  for (const { orm, process, leases } of holders.splice(0)) {
    await leases.stop().catch(() => undefined);
    await process.stop().catch(() => undefined);
    await orm.close();
  }
});

interface HolderOptions {
  url?: string;
  monotonicMs?: () => number;
  nodeId?: number;
}

async function startHolder(options: HolderOptions = {}): Promise<LeaseHolder> {
  const { url = database.url, monotonicMs = () => performance.now(), nodeId = null } = options;
  const orm = await createOrm(url);
  const process = createProcessLease({ orm, kind: 'worker', nodeId, makeId, log });
  await process.start();
  const leases = startShardLeases({ orm, nodeId, processId: () => process.id(), monotonicMs, log });
  const holder = { orm, process, leases };
  holders.push(holder);
  return holder;
}

const heldBy = ({ leases }: LeaseHolder): number[] =>
  [...(leases.held()?.epochs.keys() ?? [])].toSorted((one, other) => one - other);
const ALL = Array.from({ length: 16 }, (_, shard) => shard);

test('the shares of all workers are the 16 shards, as even as can be', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 40 }), (workers) => {
      const shares = workers.map((worker) => shareOf(workers, worker));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(16);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }),
  );
});

test('a worker alone holds every shard; a second one gets half of them, and all when the first drains', async () => {
  const one = await startHolder();
  await eventually(() => expect(heldBy(one)).toEqual(ALL));
  const other = await startHolder();
  await eventually(() => {
    expect(heldBy(one)).toHaveLength(8);
    expect([...heldBy(one), ...heldBy(other)].toSorted((a, b) => a - b)).toEqual(ALL);
  });
  await one.leases.stop();
  expect(heldBy(one)).toEqual([]);
  // Given back, and not only left to expire.
  const [left] = await one.orm.em
    .fork()
    .execute<{ count: number }[]>('select count(*)::int as count from watch_shards where owner = ?', [one.process.id()]);
  expect(left?.count).toBe(0);
  await one.process.stop();
  await eventually(() => expect(heldBy(other)).toEqual(ALL));
});

test('the shards of a worker that lost its database go to another one, with a new epoch, and are never held by both', async () => {
  const proxy = await startSeverableProxy(database.url);
  const dead = await startHolder({ url: proxy.url });
  await eventually(() => expect(heldBy(dead)).toEqual(ALL));
  const before = dead.leases.held()?.epochs;
  const other = await startHolder();
  await proxy.sever();
  await eventually(() => {
    expect(heldBy(dead).filter((shard) => heldBy(other).includes(shard))).toEqual([]);
    if (heldBy(other).length < 16) throw new Error('not all taken yet');
  });
  expect(heldBy(dead)).toEqual([]);
  for (const [shard, epoch] of other.leases.held()!.epochs) expect(epoch).toBeGreaterThan(before!.get(shard)!);
});

test('a worker that was paused for longer than its leases can be trusted holds nothing until it has taken them anew', async () => {
  let pausedMs = 0;
  const paused = await startHolder({ monotonicMs: () => performance.now() + pausedMs });
  await eventually(() => expect(heldBy(paused)).toEqual(ALL));
  const before = paused.leases.held()!.epochs.get(0)!;
  pausedMs = 9_000;
  expect(paused.leases.held()).toBeNull();
  await eventually(() => expect(paused.leases.held()?.epochs.get(0)).toBeGreaterThan(before));
});

test('the workers of a node share its shards, and take none of another node', async () => {
  const admin = await createOrm(database.url);
  const enter = (name: string) => runTransaction(admin.em, (em) => enterNode(em, { name, maxRunning: 1, driver: 'process' }));
  const [here, there] = [await enter('here'), await enter('there')];
  await admin.close();
  const [one, other, far] = [
    await startHolder({ nodeId: here }),
    await startHolder({ nodeId: here }),
    await startHolder({ nodeId: there }),
  ];
  await eventually(() => {
    expect([heldBy(one).length, heldBy(other).length]).toEqual([8, 8]);
    expect([...heldBy(one), ...heldBy(other)].toSorted((a, b) => a - b)).toEqual(ALL);
    expect(heldBy(far)).toEqual(ALL.map((shard) => shard + 16));
  });
});
