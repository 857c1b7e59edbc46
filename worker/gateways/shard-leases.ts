import type { MikroORM } from '@mikro-orm/postgresql';
import { giveBackShards, liveWorkers, renewShards, takeShards } from '../../database/processes/shard-leases.ts';
import type { ShardLease } from '../../database/processes/shard-leases.ts';
import type { Log } from '../../lib/log.ts';
import { startPoller } from './poller.ts';
import { SHARDS } from '../../domain/temporal/shards.ts';

export interface HeldShards {
  /** The process that holds them. */
  owner: string;
  /** The epoch of each lease by its shard. */
  epochs: ReadonlyMap<number, number>;
}

export interface ShardLeases {
  /** What this process may act for at this very moment; null when that is nothing. */
  held(): HeldShards | null;
  /** Gives all shards back for others to take at once, and takes none any more. */
  stop(): Promise<void>;
}

interface Deps {
  orm: MikroORM;
  /** The node whose gateways this process watches; by default those that are on none. */
  nodeId?: number | null;
  /** As whom this process owns things; null while it may own nothing. */
  processId: () => string | null;
  /** Of a clock that never jumps. */
  monotonicMs: () => number;
  /** There are other shards than before. */
  onChange?: () => void;
  log: Log;
}

const TICK_MS = 1_000;
const RENEW_MS = 3_000;
/** From when the last renewal was begun. Other workers wait two seconds longer. */
const TRUSTED_MS = 8_000;

/** How many shards this worker may hold: those of a node are shared out evenly, in the order of its workers' ids. */
export function shareOf(workers: readonly string[], me: string): number {
  const rank = workers.indexOf(me);
  if (rank < 0) return 0;
  return Math.floor(SHARDS / workers.length) + (rank < SHARDS % workers.length ? 1 : 0);
}

/** Holds this worker's share of the watch shards of its node for as long as it can renew them. */
export function startShardLeases({ orm, nodeId = null, processId, monotonicMs, onChange, log }: Deps): ShardLeases {
  let owner: string | null = null;
  let leases: ShardLease[] = [];
  let renewedAt = 0;
  let isStopped = false;

  const isTrusted = (): boolean =>
    !isStopped && owner !== null && owner === processId() && monotonicMs() - renewedAt < TRUSTED_MS;

  function hold(next: ShardLease[]): void {
    const before = leases;
    leases = next;
    const isSame = before.length === next.length && next.every((lease) => before.some((old) => isEqual(old, lease)));
    if (!isSame) onChange?.();
  }

  async function tick(): Promise<void> {
    const me = processId();
    if (me !== owner) {
      hold([]);
      owner = me;
    }
    if (me === null) return;
    if (!isTrusted()) hold([]);
    const begunAt = monotonicMs();
    const em = orm.em.fork();
    if (leases.length > 0 && begunAt - renewedAt >= RENEW_MS) {
      hold(await renewShards(em, me, leases));
      renewedAt = begunAt;
    }
    const share = shareOf(await liveWorkers(em, nodeId), me);
    if (leases.length < share) {
      const taken = await takeShards(em, { owner: me, nodeId, limit: share - leases.length, held: shardsOf(leases) });
      if (leases.length === 0) renewedAt = begunAt;
      hold([...leases, ...taken]);
      if (taken.length > 0) log.info({ taken: taken.length, held: leases.length }, 'acquired leases of watch shards');
    } else if (leases.length > share) {
      const surplus = leases.slice(share);
      // First stop acting for these shards: once they are given back, another worker may begin.
      hold(leases.slice(0, share));
      await giveBackShards(em, me, shardsOf(surplus));
    }
  }

  const poller = startPoller({
    everyMs: TICK_MS,
    look: tick,
    onError: (err) => log.warn({ err }, 'the leases of the watch shards could not be renewed; trying again'),
  });

  return {
    held() {
      if (owner === null || leases.length === 0 || !isTrusted()) return null;
      return { owner, epochs: new Map(leases.map(({ shard, epoch }) => [shard, epoch])) };
    },
    async stop() {
      isStopped = true;
      const mine = shardsOf(leases);
      hold([]);
      await poller.stop();
      const late = shardsOf(leases);
      if (owner !== null) await giveBackShards(orm.em.fork(), owner, [...new Set([...mine, ...late])]);
      leases = [];
    },
  };
}

function isEqual(one: ShardLease, other: ShardLease): boolean {
  return one.shard === other.shard && one.epoch === other.epoch;
}

function shardsOf(leases: readonly ShardLease[]): number[] {
  return leases.map(({ shard }) => shard);
}
