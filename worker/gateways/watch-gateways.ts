import type { MikroORM } from '@mikro-orm/postgresql';
import type { Notifications } from '../../database/notifications.ts';
import { gatewaysToWatch } from '../../database/instances/gateways-to-watch.ts';
import { noteDeath } from '../../database/instances/note-death.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import type { Clock } from '../../lib/async/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { MachineLoad } from '../../lib/machine-load.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import type { GatewayConnections } from '../../runtime/gateway-connections.ts';
import type { TurnWatches } from '../../turns/watch-turns.ts';
import { startPoller } from './poller.ts';
import { createProofRounds, PROBE_PACE } from './proof-rounds.ts';
import type { ProbePace } from './proof-rounds.ts';
import type { ShardLeases } from './shard-leases.ts';
import { watchGateway } from './watched-gateway.ts';
import type { FoundDeath, GatewayWatch, WatchedGateway } from './watched-gateway.ts';

export interface GatewayWatches {
  /** How many gateways are watched, how many of them are connected, and how many are slow. */
  counts(): { watched: number; connected: number; slow: number };
  /** The shards may be other ones: looks at once. */
  wake(): void;
  /** Watches nothing any more. */
  stop(): Promise<void>;
}

export interface WatchDeps {
  orm: MikroORM;
  driver: RuntimeDriver;
  connections: GatewayConnections;
  leases: Pick<ShardLeases, 'held'>;
  notifications: Pick<Notifications, 'on'>;
  turnWatches: Pick<TurnWatches, 'watch'>;
  load: Pick<MachineLoad, 'isStarved'>;
  clock: Clock;
  monotonicMs: () => number;
  random: () => number;
  /** By default PROBE_PACE. */
  pace?: ProbePace;
  log: Log;
}

const LOOK_MS = 1_000;
const REST_MS = 100;
const CHECK_MS = 500;

/** Keeps one connection to the gateway of every running instance of the shards that this worker holds. */
export function startWatchingGateways(deps: WatchDeps): GatewayWatches {
  const { orm, leases, notifications, log, pace: { everyMs } = PROBE_PACE } = deps;
  const watches = new Map<string, GatewayWatch>();
  const rounds = createProofRounds({ ...deps, watches: () => [...watches.values()] });

  function begin(gateway: WatchedGateway): GatewayWatch {
    const turnWatch = deps.turnWatches.watch(gateway);
    return watchGateway(gateway, { ...deps, turnWatch, onDeath: (dead, death) => writeDeath(deps, dead, death) });
  }

  function drop(instanceId: string): void {
    void watches.get(instanceId)?.stop();
    watches.delete(instanceId);
  }

  /** Whatever is watched under a lease that is not held at this moment. */
  function dropLost(): void {
    const held = leases.held();
    for (const [instanceId, { gateway }] of watches) if (held?.epochs.get(gateway.shard) !== gateway.shardEpoch) drop(instanceId);
  }

  async function look(): Promise<void> {
    dropLost();
    const shards = leases.held()?.epochs.keys() ?? [];
    const found = await gatewaysToWatch(orm.em.fork(), [...shards]);
    dropLost();
    const bootIds = new Map(found.map(({ instanceId, bootId }) => [instanceId, bootId]));
    for (const [instanceId, watch] of watches)
      if (watch.isOver() || bootIds.get(instanceId) !== watch.gateway.bootId) drop(instanceId);
    const held = leases.held();
    for (const gateway of found) {
      const shardEpoch = held?.epochs.get(gateway.shard);
      if (shardEpoch !== undefined && !watches.has(gateway.instanceId))
        watches.set(gateway.instanceId, begin({ ...gateway, shardEpoch }));
    }
  }

  const onError = (err: unknown): void => log.warn({ err }, 'the list of gateways to watch could not be read; trying again');
  const looks = startPoller({ everyMs: LOOK_MS, restMs: REST_MS, look, onError });
  const pings = startPoller({ everyMs, look: () => rounds.run(), onError });
  // On a separate timer, so that gateways of lost shards are dropped even while a look hangs at the database.
  const check = setInterval(dropLost, CHECK_MS);
  const forget = notifications.on('instance', () => looks.wake());

  return {
    counts() {
      const all = [...watches.values()];
      const connected = all.filter((watch) => watch.isConnected()).length;
      return { watched: all.length, connected, slow: all.filter((watch) => watch.isSlow()).length };
    },
    wake: () => looks.wake(),
    async stop() {
      forget();
      clearInterval(check);
      await Promise.all([looks.stop(), pings.stop()]);
      await Promise.all([...watches.values()].map((watch) => watch.stop()));
      watches.clear();
    },
  };
}

/** Only under the lease under which it was found. What cannot be written is found again by the next watch. */
async function writeDeath({ orm, leases, clock, log }: WatchDeps, dead: WatchedGateway, death: FoundDeath): Promise<void> {
  const { instanceId, bootId, shard, shardEpoch } = dead;
  const held = leases.held();
  if (held?.epochs.get(shard) !== shardEpoch) return;
  const lease = { owner: held.owner, shard, epoch: shardEpoch };
  const isNoted = await runTransaction(orm.em, (em) => noteDeath(em, { instanceId, bootId, lease, ...death, now: clock() }));
  log.info({ instanceId, bootId, isNoted }, 'the death of a gateway was recorded');
}
