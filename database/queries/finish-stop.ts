import type { EntityManager } from '@mikro-orm/postgresql';
import { freeSlot } from './slots.ts';
import { closeInterval, proveEnd } from './intervals.ts';
import { query, sql } from '../sql.ts';

interface OfAttempt {
  instanceId: string;
  epoch: number;
}

/** How the gateway was met when it was to be ended: alive, or dead since then. */
export type GatewaySight = { isAlive: true } | { isAlive: false; diedAt: Date };

/**
 * The gateway takes no messages any more and is about to be ended by us: its end is no death. Ends the meter, for good
 * where it is known how the gateway was met. With `killFirst` the next start ends the gateway, should this attempt not
 * get to it. False when a newer attempt has begun.
 */
export async function releaseGateway(
  em: EntityManager,
  { instanceId, epoch, sight = null, killFirst = false }: OfAttempt & { sight?: GatewaySight | null; killFirst?: boolean },
): Promise<boolean> {
  const [row] = await query<{ bootId: string | null }>(
    em,
    sql`update instances set boot_id = null, kill_first = kill_first or ${killFirst}::boolean
      where id = ${instanceId} and epoch = ${epoch} returning old.boot_id as "bootId"`,
  );
  if (!row) return false;
  await closeInterval(em, instanceId);
  const { bootId } = row;
  if (bootId !== null && sight) await proveEnd(em, { instanceId, bootId, diedAt: sight.isAlive ? null : sight.diedAt });
  return true;
}

interface Stopped extends OfAttempt {
  powerGeneration: number;
  maxRunning: number;
}

/** The instance is stopped and its slot free, in the caller's transaction. False when it was overtaken. */
export async function finishStop(
  em: EntityManager,
  { instanceId, epoch, powerGeneration, maxRunning }: Stopped,
): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update instances
        set status = 'stopped', stopped_at = now(), boot_id = null, kill_first = false, start_not_before = null, deaths = '{}', breakdowns = '{}', give_up_for = null,
            transition_kind = null, transition_started_at = null, transition_attempt = 0, transition_step = null,
            reason_code = null, reason_message = null, reason_at = null, reason_retryable = null
      where id = ${instanceId} and epoch = ${epoch} and power_generation = ${powerGeneration} returning id`,
  );
  if (rows.length === 0) return false;
  await closeInterval(em, instanceId);
  await freeSlot(em, instanceId, maxRunning);
  return true;
}

interface Gone extends OfAttempt {
  /** As the step read it: the next gateway process is newer. */
  restartGeneration: number;
}

/**
 * No gateway runs: whatever restart was asked for is fulfilled by the next one, also when another attempt adopts it.
 * False when a newer attempt has begun.
 */
export async function noteGatewayGone(em: EntityManager, { instanceId, epoch, restartGeneration }: Gone): Promise<boolean> {
  const rows = await query<{ id: string }>(
    em,
    sql`update instances set kill_first = false, applied_restart_generation = greatest(applied_restart_generation, ${restartGeneration}::bigint)
      where id = ${instanceId} and epoch = ${epoch} returning id`,
  );
  return rows.length > 0;
}
