import { freemem } from 'node:os';
import type { MikroORM } from '@mikro-orm/postgresql';
import { noteAddresses } from '../activities/note-addresses.ts';
import { handOver } from '../activities/pool/hand-over.ts';
import { createActivities } from '../activities/create-activities.ts';
import { createStartPace } from '../activities/start-pace.ts';
import type { StepDeps } from '../activities/steps/step-deps.ts';
import { listenToNotifications } from '../database/notifications.ts';
import { setPrice } from '../database/billing/set-price.ts';
import { setTokenPrices } from '../database/billing/set-token-prices.ts';
import { wakeUnconverged } from '../database/instances/wake-unconverged.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { MakeId } from '../domain/ids.ts';
import type { SleepPace } from '../domain/sleep.ts';
import { parseUsd } from '../domain/money/money.ts';
import { tokenPricesOf } from '../domain/money/token-cost.ts';
import { systemClock } from '../lib/async/clock.ts';
import type { ConfigOf } from '../lib/settings/config.ts';
import type { Log } from '../lib/log.ts';
import { observeMachineLoad } from '../lib/machine-load.ts';
import { createMetrics } from '../lib/metrics.ts';
import type { RuntimeDriver } from '../runtime/driver.ts';
import { createGatewayConnections } from '../runtime/gateway-connections.ts';
import { createProcessLease } from '../turns/process-lease.ts';
import { turnSettings } from '../turns/turn-deps.ts';
import { createTurnWatches } from '../turns/watch-turns.ts';
import { keepBackups } from './backup/keep-backups.ts';
import { beOnNode } from './be-on-node.ts';
import { createDeliveries } from './deliveries.ts';
import { keepPool } from './pool/keep-pool.ts';
import { registerPoolMetrics } from './pool/pool-metrics.ts';
import { keepTemporalWorkers } from './temporal/keep-temporal-workers.ts';
import { startInstanceServer } from './serving/instance-server.ts';
import type { InstanceServer } from './serving/instance-server.ts';
import { stopLocally } from './local-stop.ts';
import { startOutboxRelay } from './outbox-relay.ts';
import { startShardLeases } from './gateways/shard-leases.ts';
import { startStatusServer } from './serving/status-server.ts';
import { openTemporalLink } from './temporal/temporal-link.ts';
import { startWatchingSleep } from './gateways/watch-sleep.ts';
import { startWatchingGateways } from './gateways/watch-gateways.ts';
import { registerWakeMetrics, registerWorkerMetrics } from './worker-metrics.ts';

export interface RunningWorker {
  /**
   * Gives everything back and ends: what runs for Temporal gives way, others take the shards, and the gateways live on.
   * With `gateways: 'stop'` those of this machine are stopped too, to be brought back by the next start.
   */
  end(options: { gateways: 'keep' | 'stop' }): Promise<void>;
}

interface Deps {
  config: ConfigOf<'worker'>;
  installationId: string;
  orm: MikroORM;
  /** For leases, which go on while all connections of the other are taken. */
  reserved: MikroORM;
  driver: RuntimeDriver;
  makeId: MakeId;
  random: () => number;
  bundle: () => Promise<{ code: string }>;
  sleepPace: SleepPace;
  log: Log;
}

/** The API has METRICS_PORT itself. */
const METRICS_PORT_OFFSET = 1;
/** Activities give way at once. */
const TEMPORAL_MS = 20_000;

const clock = systemClock;

/** Starts everything that a worker does. Temporal may be away. Resolves when it watches and relays. */
export async function startWorker(deps: Deps): Promise<RunningWorker> {
  const { config, installationId, orm, reserved, driver, makeId, random, bundle, sleepPace, log } = deps;
  const monotonicMs = (): number => performance.now();
  const load = observeMachineLoad({ monotonicMs });
  const drain = new AbortController();
  await applyPrices({ config, orm, log });
  const connections = createGatewayConnections({ endpoints: driver, masterKeys: config.MASTER_KEYS, log });
  const served = await serveInstances(deps);
  const nodeId = await beOnNode({ config, orm, driver, log });
  const lease = createProcessLease({ orm: reserved, kind: 'worker', address: served.address, nodeId, makeId, log });
  await lease.start();
  const notifications = listenToNotifications(config.DATABASE_URL, log);
  const temporal = openTemporalLink(config, log);
  const turnDeps = { orm, makeId, clock, log, ...turnSettings(config) };
  const turnWatches = createTurnWatches({ ...turnDeps, notifications });
  const leases = startShardLeases({
    ...{ orm: reserved, nodeId, monotonicMs, log },
    processId: () => lease.id(),
    onChange: () => watches.wake(),
  });
  const watches = startWatchingGateways({
    ...{ orm, driver, connections, leases, notifications, turnWatches, load, clock, monotonicMs, random, log },
  });
  const sleep = startWatchingSleep({ ...turnDeps, config, connections, leases, pace: sleepPace });
  await catchUp({ orm, driver, log });
  const registry = createMetrics('worker');
  const onWoken = registerWakeMetrics(registry);
  const startPace = createStartPace({ load, monotonicMs });
  const common = { orm, driver, nodeId, connections, config, clock, monotonicMs, makeId, load, startPace, log };
  const onStart = registerPoolMetrics(registry, { orm, nodeId });
  const pool = keepPool({ ...common, processId: () => lease.id(), freeBytes: freemem, onStart });
  const steps = { ...common, pool: config.POOL_SIZE > 0 ? pool : null, onWoken, drain: drain.signal };
  const relay = startOutboxRelay({ orm, notifications, temporal, monotonicMs, handOver: handOverBy(steps), log });
  const deliveries = createDeliveries({
    ...{ config, orm, notifications, registry, makeId, clock, monotonicMs, random, log, drain: drain.signal },
  });
  const workers = keepTemporalWorkers({
    ...{ temporal, activities: createActivities(steps), webhookActivities: deliveries.activities, nodeId, bundle, log },
    buildId: config.WORKER_BUILD_ID,
  });
  const backups = keepBackups({ config, installationId, clock, log });
  registerWorkerMetrics(registry, { orm, temporal, leases, watches, backups });
  const status = await startStatusServer({ registry, temporal, leases, watches, backups, log, ...statusAddress(config) });

  /** Stops watching and gives the shards back, so that another worker can take them while this one still closes its connections. */
  async function giveUpShards(): Promise<void> {
    await Promise.all([leases.stop(), watches.stop(), turnWatches.stop()]);
    await lease.stop();
  }

  return {
    async end({ gateways }) {
      drain.abort();
      const pooled = gateways === 'stop' ? pool.empty() : pool.stop();
      const work = Promise.all([relay.stop(), workers.stop(TEMPORAL_MS), sleep.stop(), backups.stop(), pooled]);
      if (gateways === 'stop') {
        // The watch goes on meanwhile: turns that end before their gateway does are stored.
        await work;
        await stopLocally({ orm, driver, connections, clock, log });
      }
      const [[, isOver]] = await Promise.all([work, giveUpShards()]);
      if (!isOver) log.warn('some activities did not end before the shutdown; Temporal retries them');
      connections.closeAll();
      load.stop();
      await deliveries.close();
      await Promise.all([notifications.close(), status.drain(0), served.stop(), isOver ? temporal.close() : undefined]);
      await Promise.all([orm.close(), reserved.close()]);
    },
  };
}

function serveInstances({ config, driver, log }: Deps): Promise<InstanceServer> {
  const { MASTER_KEYS: masterKeys, WORKER_HOST: host, WORKER_PORT: port } = config;
  return startInstanceServer({ driver, masterKeys, log, host, port });
}

/** Null where there is no pool. */
function handOverBy(steps: StepDeps) {
  return steps.pool && ((instanceId: string, signal: AbortSignal) => handOver(steps, instanceId, signal));
}

function statusAddress({ METRICS_HOST: host, METRICS_PORT }: Deps['config']): { host: string; port: number } {
  return { host, port: METRICS_PORT + METRICS_PORT_OFFSET };
}

async function applyPrices({ config, orm, log }: Pick<Deps, 'config' | 'orm' | 'log'>): Promise<void> {
  const price = parseUsd(config.PRICE_PER_HOUR_USD);
  if (price !== null && (await runTransaction(orm.em, (em) => setPrice(em, price, null))))
    log.info('a new price applies from now on');
  const models = await runTransaction(orm.em, (em) => setTokenPrices(em, tokenPricesOf(config.MODELS), null));
  if (models.length > 0) log.info({ models }, 'new prices of tokens apply from now on');
}

/** Catches up after a time in which no worker ran: wakes instances that are not as desired, and notes the addresses of gateways. */
async function catchUp({ orm, driver, log }: Pick<Deps, 'orm' | 'driver' | 'log'>): Promise<void> {
  log.info({ woken: await wakeUnconverged(orm.em.fork()) }, 'woke instances not in their desired state');
  await noteAddresses({ orm, driver }).catch((err: unknown) =>
    log.warn({ err }, 'where gateways listen could not be looked up; a sweep tries again'),
  );
}
