import type { EntityManager } from '@mikro-orm/postgresql';
import { afterDeath } from '../../domain/lifecycle.ts';
import type { DesiredStatus, TransitionKind } from '../../domain/lifecycle.ts';
import { noteFailedStart } from './failed-starts.ts';
import { closeInterval, proveEnd } from './intervals.ts';
import { wakeInstance } from './wake-instance.ts';
import { query, run, sql } from '../sql.ts';

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
  now: Date;
}

interface DyingRow {
  desiredStatus: DesiredStatus;
  transitionKind: TransitionKind | null;
  deaths: string[];
  /** How far its interval is proven. */
  provenUntil: Date | null;
}

/**
 * Notes that a gateway is gone: its interval ends when it did, it takes no messages, and the reconciler is woken, who
 * alone kills and starts. False, and nothing changed, when that gateway was given up before or the lease is another's.
 * Locks the shard, then the instance.
 */
export async function noteDeath(em: EntityManager, death: GatewayDeath): Promise<boolean> {
  if (!(await holdsLease(em, death))) return false;
  const row = await lockRow(em, death);
  if (!row) return false;
  await closeInterval(em, death.instanceId, death.endedAt ?? row.provenUntil);
  // A stop that was accepted before has closed it already, perhaps long after the gateway had ended.
  if (death.endedAt) await proveEnd(em, { ...death, diedAt: death.endedAt });
  // A gateway that was told to end is none that died.
  const isExpected = row.desiredStatus !== 'running' || row.transitionKind === 'restarting';
  await (isExpected ? forgetGateway(em, death) : beginRecovery(em, row, death));
  await wakeInstance(em, death.instanceId);
  return true;
}

async function holdsLease(em: EntityManager, { lease: { owner, shard, epoch } }: GatewayDeath): Promise<boolean> {
  const rows = await query<{ shard: number }>(
    em,
    sql`select shard from watch_shards where shard = ${shard} and owner = ${owner} and epoch = ${epoch} for share`,
  );
  return rows.length > 0;
}

async function lockRow(em: EntityManager, { instanceId, bootId }: GatewayDeath): Promise<DyingRow | null> {
  const [row] = await query<DyingRow>(
    em,
    sql`select desired_status as "desiredStatus", transition_kind as "transitionKind", to_json(deaths) as deaths,
            (select coalesce(least(lost_at, refusing_since), alive_until) from runtime_intervals, watch_shards
              where instance_id = instances.id and ended_at is null and watch_shards.shard = instances.shard) as "provenUntil"
       from instances where id = ${instanceId} and boot_id = ${bootId} for update`,
  );
  return row ?? null;
}

async function forgetGateway(em: EntityManager, { instanceId, killFirst }: GatewayDeath): Promise<void> {
  await run(em, sql`update instances set boot_id = null, kill_first = ${killFirst} where id = ${instanceId}`);
}

async function beginRecovery(em: EntityManager, { deaths }: DyingRow, death: GatewayDeath): Promise<void> {
  const { instanceId, endedAt, killFirst, now } = death;
  const { recent, pauseMs } = afterDeath([...deaths.map((at) => new Date(at)), endedAt ?? now], now);
  await run(
    em,
    sql`update instances
        set boot_id = null, kill_first = ${killFirst}, status = 'provisioning', transition_kind = 'recovering',
            transition_started_at = ${now}, transition_attempt = 0, transition_step = null,
            start_not_before = ${pauseMs > 0 ? new Date(now.getTime() + pauseMs) : null}, deaths = ${`{${recent.map((at) => at.toISOString()).join(',')}}`}::timestamptz[],
            ${noteFailedStart(now)}
      where id = ${instanceId}`,
  );
}
