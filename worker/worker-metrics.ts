import type { MikroORM } from '@mikro-orm/postgresql';
import { Gauge, Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import { outboxLag } from '../database/processes/claim-outbox.ts';
import { countSleeping } from '../database/instances/sleep/count-sleeping.ts';
import { countStuck } from '../database/instances/count-stuck.ts';
import { countUnowned } from '../database/stores/unowned-runtimes.ts';
import { readSwap } from '../runtime/host/swap-room.ts';
import { registerBackupMetrics } from './backup/backup-metrics.ts';
import type { Backups } from './backup/keep-backups.ts';
import { askedOnce } from './gateways/asked-once.ts';
import type { ShardLeases } from './gateways/shard-leases.ts';
import type { TemporalLink } from './temporal/temporal-link.ts';
import type { GatewayWatches } from './gateways/watch-gateways.ts';

export interface Observed {
  orm: MikroORM;
  temporal: Pick<TemporalLink, 'isUp'>;
  leases: Pick<ShardLeases, 'held'>;
  watches: Pick<GatewayWatches, 'counts'>;
  backups: Pick<Backups, 'state'>;
}

const TEMPORAL_MS = 1_000;

/** Registers the metrics of a worker. Each value is read when the metrics are requested. */
export function registerWorkerMetrics(registry: Registry, { orm, temporal, leases, watches, backups }: Observed): void {
  // The registry reads gauges concurrently, so both ask for the lag: a gauge that the other one set would show the reading before.
  const lag = askedOnce(() => outboxLag(orm.em.fork()));
  registry.registerMetric(gauge('thermidora_outbox_rows', 'Wake-ups of workflows that wait', async () => (await lag()).rows));
  registry.registerMetric(
    gauge('thermidora_outbox_oldest_seconds', 'How long the oldest wake-up of a workflow has waited', async () => {
      return (await lag()).oldestSeconds;
    }),
  );
  registerBackupMetrics(registry, backups);
  registry.registerMetric(stuckGauge(orm));
  registry.registerMetric(sleepingGauge(orm));
  registry.registerMetric(unownedGauge(orm));
  registry.registerMetric(swapGauge());
  registry.registerMetric(
    gauge('thermidora_temporal_up', 'Whether Temporal serves', async () => Number(await temporal.isUp(TEMPORAL_MS))),
  );
  registry.registerMetric(
    gauge('thermidora_shards_held', 'Watch shards that this worker holds', () => leases.held()?.epochs.size ?? 0),
  );
  registry.registerMetric(
    gauge('thermidora_gateways_watched', 'Gateways that this worker watches', () => watches.counts().watched),
  );
  registry.registerMetric(
    gauge('thermidora_gateways_connected', 'Watched gateways whose connection is open', () => watches.counts().connected),
  );
  registry.registerMetric(
    gauge(
      'thermidora_gateways_slow',
      'Watched gateways that have not answered for half a minute, and are given more time',
      () => watches.counts().slow,
    ),
  );
}

function stuckGauge(orm: MikroORM): Gauge {
  return new Gauge({
    name: 'thermidora_instances_stuck',
    help: 'Instances of all accounts that are in `error`, or have been in one transition for over ten minutes',
    labelNames: ['in'],
    registers: [],
    async collect() {
      const { error, transition } = await countStuck(orm.em.fork());
      this.set({ in: 'error' }, error);
      this.set({ in: 'transition' }, transition);
    },
  });
}

function sleepingGauge(orm: MikroORM): Gauge {
  return new Gauge({
    name: 'thermidora_instances_sleeping',
    help: 'Instances of all accounts that are asleep, and that are waking',
    labelNames: ['state'],
    registers: [],
    async collect() {
      const { asleep, waking } = await countSleeping(orm.em.fork());
      this.set({ state: 'asleep' }, asleep);
      this.set({ state: 'waking' }, waking);
    },
  });
}

/** What is told how long an instance took to wake, from the call or the moment of the job on until it took messages. */
export function registerWakeMetrics(registry: Registry): (seconds: number) => void {
  const histogram = new Histogram({
    name: 'thermidora_instance_wake_seconds',
    help: 'How long sleeping instances took to wake, until they took messages',
    buckets: [0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300],
    registers: [],
  });
  registry.registerMetric(histogram);
  return (seconds) => histogram.observe(seconds);
}

/** Without swap both are zero, and no gateway is suspended. */
function swapGauge(): Gauge {
  return new Gauge({
    name: 'thermidora_swap_bytes',
    help: 'Swap of the machine of this worker, where the memory of suspended gateways is',
    labelNames: ['state'],
    registers: [],
    async collect() {
      const { totalBytes, freeBytes } = await readSwap();
      this.set({ state: 'total' }, totalBytes);
      this.set({ state: 'free' }, freeBytes);
    },
  });
}

function unownedGauge(orm: MikroORM): Gauge {
  return new Gauge({
    name: 'thermidora_runtimes_unowned',
    help: 'Gateways and storage that no instance owns, as the last sweep found them; `left`: too many at once, so none was touched',
    labelNames: ['state'],
    registers: [],
    async collect() {
      const { quarantined, left } = await countUnowned(orm.em.fork());
      this.set({ state: 'quarantined' }, quarantined);
      this.set({ state: 'left' }, left);
    },
  });
}

function gauge(name: string, help: string, read: () => number | Promise<number>): Gauge {
  return new Gauge({
    name,
    help,
    registers: [],
    async collect() {
      this.set(await read());
    },
  });
}
