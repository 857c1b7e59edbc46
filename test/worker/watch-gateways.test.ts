import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { listenToNotifications } from '../../database/notifications.ts';
import type { Notifications } from '../../database/notifications.ts';
import { createOrm } from '../../database/orm.ts';
import { systemClock } from '../../lib/async/clock.ts';
import { createLog } from '../../lib/log.ts';
import { createGatewayConnections } from '../../runtime/gateway-connections.ts';
import { createProcessLease } from '../../turns/process-lease.ts';
import { TURN_PAUSES } from '../../turns/turn-deps.ts';
import { createTurnWatches } from '../../turns/watch-turns.ts';
import { startShardLeases } from '../../worker/gateways/shard-leases.ts';
import type { ProbePace } from '../../worker/gateways/proof-rounds.ts';
import { startWatchingGateways } from '../../worker/gateways/watch-gateways.ts';
import type { GatewayWatches } from '../../worker/gateways/watch-gateways.ts';
import { eventually } from '../support/eventually.ts';
import { GATEWAY_MASTER_KEY } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { makeId } from '../factories.ts';
import { countOutbox, instanceState, intervalsOf, newPaidInstance } from './instance-rows.ts';

const log = createLog('test', 'silent');

let database: TestDatabase;
let orm: MikroORM;
let notifications: Notifications;
let gateway: GatewayUnderTest;
let isStarved = false;

beforeAll(async () => {
  [database, { gateway }] = await Promise.all([createTestDatabase(), startScripted()]);
  orm = await createOrm(database.url);
  notifications = listenToNotifications(database.url, log);
});

afterAll(async () => {
  await gateway.close();
  await notifications.close();
  await orm.close();
  await database.drop();
});

interface WatchingWorker {
  watches: GatewayWatches;
  /** As after a pause of the whole process: its clock has gone on. */
  jump(ms: number): void;
  stop(): Promise<void>;
}

const workers: WatchingWorker[] = [];

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});

async function startWatching(pace?: ProbePace): Promise<WatchingWorker> {
  let jumpedMs = 0;
  const monotonicMs = (): number => performance.now() + jumpedMs;
  const connections = createGatewayConnections({ endpoints: gateway.driver, masterKeys: [GATEWAY_MASTER_KEY], log });
  const process = createProcessLease({ orm, kind: 'worker', makeId, log });
  await process.start();
  const turnWatches = createTurnWatches({
    orm,
    makeId,
    clock: systemClock,
    log,
    turnTimeoutMs: 60_000,
    maxStoredBytes: 1024 ** 4,
    pauses: TURN_PAUSES,
    masterKeys: [GATEWAY_MASTER_KEY],
    notifications,
  });
  const leases = startShardLeases({ orm, processId: () => process.id(), monotonicMs, onChange: () => watches.wake(), log });
  const watches = startWatchingGateways({
    ...{ orm, driver: gateway.driver, connections, leases, notifications, turnWatches },
    ...{ load: { isStarved: () => isStarved }, clock: systemClock, monotonicMs, random: Math.random, log },
    ...(pace && { pace }),
  });
  const worker: WatchingWorker = {
    watches,
    jump: (ms) => void (jumpedMs += ms),
    async stop() {
      await Promise.all([leases.stop(), watches.stop(), turnWatches.stop()]);
      await process.stop();
      connections.closeAll();
    },
  };
  workers.push(worker);
  return worker;
}

async function bootIdOf(under: GatewayUnderTest): Promise<string> {
  const client = await under.connect();
  const { bootId } = client;
  client.close();
  return bootId;
}

/** The one runtime of this file belongs to one instance at a time. */
async function insertRunning(bootId: string): Promise<string> {
  await orm.em.fork().execute(`update instances set runtime_id = id, boot_id = null where runtime_id = ?`, [gateway.runtimeId]);
  const { instanceId } = await newPaidInstance(orm, { runtimeId: gateway.runtimeId, bootId, shard: 7, ranForSeconds: 60 });
  return instanceId;
}

async function aliveUntil(shard: number): Promise<number | null> {
  const [row] = await orm.em
    .fork()
    .execute<{ at: number | null }[]>(
      'select (extract(epoch from alive_until) * 1000)::float8 as at from watch_shards where shard = ?',
      [shard],
    );
  return row?.at ?? null;
}

test('a running gateway is connected to and proven to run; once it is killed its death is noted, with its time', async () => {
  const instanceId = await insertRunning(await bootIdOf(gateway));
  const { watches } = await startWatching();
  await eventually(() => expect(watches.counts()).toEqual({ watched: 1, connected: 1, slow: 0 }));
  await eventually(async () => expect(await intervalsOf(orm, instanceId)).toMatchObject([{ lostAt: null, endedAt: null }]));
  const firstProof = await aliveUntil(7);
  await eventually(async () => expect(await aliveUntil(7)).toBeGreaterThan(firstProof!));

  await gateway.kill();
  await eventually(async () => expect((await instanceState(orm, instanceId)).bootId).toBeNull());
  expect(await instanceState(orm, instanceId)).toMatchObject({
    status: 'provisioning',
    transitionKind: 'recovering',
    killFirst: false,
    deaths: 1,
  });
  const exit = await gateway.driver.exitOf(gateway.runtimeId);
  expect((await intervalsOf(orm, instanceId))[0]?.endedAt).toBe(Math.round(exit!.at.getTime()));
  expect(await countOutbox(orm, instanceId)).toBe(1);
  await eventually(() => expect(watches.counts()).toEqual({ watched: 0, connected: 0, slow: 0 }));
  await gateway.start();
});

test('a gateway that died while nobody watched is noted by whoever takes the shard, with the time of its end', async () => {
  const instanceId = await insertRunning(await bootIdOf(gateway));
  await gateway.kill();
  await startWatching();
  await eventually(async () => expect((await instanceState(orm, instanceId)).bootId).toBeNull());
  const exit = await gateway.driver.exitOf(gateway.runtimeId);
  expect((await intervalsOf(orm, instanceId))[0]?.endedAt).toBe(Math.round(exit!.at.getTime()));
  await gateway.start();
});

test('when another process answers than the one that is watched, that one is dead', async () => {
  const instanceId = await insertRunning('00000000-0000-4000-8000-000000000000');
  await startWatching();
  await eventually(async () => expect((await instanceState(orm, instanceId)).bootId).toBeNull());
  expect(await instanceState(orm, instanceId)).toMatchObject({ deaths: 1, killFirst: false });
});

test('a worker that was paused declares nothing dead, and proves the gateway again afterwards', async () => {
  const bootId = await bootIdOf(gateway);
  const instanceId = await insertRunning(bootId);
  const worker = await startWatching();
  await eventually(async () => expect(await intervalsOf(orm, instanceId)).toMatchObject([{ lostAt: null }]));
  worker.jump(120_000);
  const proofBefore = await aliveUntil(7);
  await eventually(async () => expect(await aliveUntil(7)).toBeGreaterThan(proofBefore!));
  await eventually(async () => expect(await intervalsOf(orm, instanceId)).toMatchObject([{ lostAt: null, endedAt: null }]));
  expect(await instanceState(orm, instanceId)).toMatchObject({ bootId, deaths: 0 });
});

test('a gateway that hangs is charged no more from its last answer on, and is given up after ten probes, to be killed, also on a starved machine', async () => {
  isStarved = true;
  const instanceId = await insertRunning(await bootIdOf(gateway));
  await startWatching({ everyMs: 300, probeMs: 250 });
  await eventually(async () => expect(await intervalsOf(orm, instanceId)).toMatchObject([{ lostAt: null }]));
  const pid = await gateway.pid();
  process.kill(pid, 'SIGSTOP');
  try {
    await eventually(async () => expect((await intervalsOf(orm, instanceId))[0]?.lostAt).not.toBeNull());
    await eventually(async () => expect((await instanceState(orm, instanceId)).bootId).toBeNull());
    expect(await instanceState(orm, instanceId)).toMatchObject({ deaths: 1, killFirst: true });
    const [interval] = await intervalsOf(orm, instanceId);
    expect(interval?.endedAt).toBe(interval?.lostAt);
    expect((await gateway.driver.inspect(gateway.runtimeId)).status).toBe('running');
  } finally {
    process.kill(pid, 'SIGCONT');
    isStarved = false;
  }
});
