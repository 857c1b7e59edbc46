import type { EntityManager } from '@mikro-orm/postgresql';
import { closeInterval, proveEnd } from '../billing/intervals.ts';
import { db } from '../db.ts';
import { epochMs, sql } from '../sql.ts';
import { changeLifecycle } from './lifecycle/change-lifecycle.ts';

export interface GatewayDeath {
  instanceId: string;
  /** The gateway process that it is about. */
  bootId: string;
  /** The lease under which it is noted. */
  lease: { owner: string; shard: number; epoch: number };
  /** When the process ended; null when only its silence is known. */
  endedAt: Date | null;
  /** Whether it may still be there: the next start ends it first. */
  killFirst: boolean;
  /** Where it ran it was told to end, for no fault of its own: that is not counted. */
  isDisruption?: boolean;
  now: Date;
}

/**
 * Notes that a gateway is gone: its interval ends when it did, it takes no messages, and the reconciler is woken, who
 * alone kills and starts. False, and nothing changed, when that gateway was given up before or the lease is another's.
 * Locks the shard, then the instance.
 */
export async function noteDeath(em: EntityManager, death: GatewayDeath): Promise<boolean> {
  if (!(await holdsLease(em, death))) return false;
  const { instanceId, bootId, endedAt, killFirst, isDisruption = false, now } = death;
  const noted = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'died', endedAt, killFirst, isDisruption },
    now,
    allows: (row) => row.bootId === bootId,
  });
  if (!noted) return false;
  await closeInterval(em, instanceId, endedAt ?? (await readProvenUntil(em, instanceId)));
  // A stop that was accepted before has closed it already, perhaps long after the gateway had ended.
  if (endedAt) await proveEnd(em, { instanceId, bootId, diedAt: endedAt });
  return true;
}

async function holdsLease(em: EntityManager, { lease: { owner, shard, epoch } }: GatewayDeath): Promise<boolean> {
  const held = await db(em)
    .selectFrom('WatchShard')
    .select('shard')
    .where('shard', '=', shard)
    .where('owner', '=', owner)
    .where('epoch', '=', epoch)
    .forShare()
    .executeTakeFirst();
  return held !== undefined;
}

/** How far the open interval of this instance is proven. */
async function readProvenUntil(em: EntityManager, instanceId: string): Promise<Date | null> {
  const row = await db(em)
    .selectFrom('RuntimeInterval as r')
    .innerJoin('Instance as i', 'i.id', 'r.instance')
    .innerJoin('WatchShard as s', 's.shard', 'i.shard')
    .select(({ ref }) => {
      const lost = sql<Date | null>`least(${ref('r.lostAt')}, ${ref('r.refusingSince')})`;
      return epochMs(sql<Date | null>`coalesce(${lost}, ${ref('s.aliveUntil')})`).as('ms');
    })
    .where('r.instance', '=', instanceId)
    .where('r.endedAt', 'is', null)
    .executeTakeFirst();
  return row?.ms == null ? null : new Date(row.ms);
}
