import type { EntityManager } from '@mikro-orm/postgresql';
import { converged } from '../../domain/lifecycle.ts';
import type { LifecycleRow } from '../../domain/lifecycle.ts';
import { closeInterval } from '../billing/intervals.ts';
import { query, run, sql } from '../sql.ts';
import { changeLifecycle } from './change-lifecycle.ts';
import { IS_ASLEEP, IS_RESTLESS } from './lifecycle-sql.ts';

interface DriftRow extends LifecycleRow {
  id: string;
}

/** The oldest first; what is more is found a minute later. */
const LIMIT = 500;

/**
 * Instances that are not in their desired state, have no wake-up in the outbox, and on which no attempt has begun within the
 * last minute. Leaves out those that wait for a slot or for their pause.
 */
export async function findDrift(em: EntityManager): Promise<string[]> {
  const rows = await query<DriftRow>(
    em,
    sql`select id, desired_status as "desiredStatus", status,
            power_generation::float8 as "powerGeneration", error_generation::float8 as "errorGeneration",
            content_generation::float8 as "contentGeneration", applied_content_generation::float8 as "appliedContentGeneration",
            restart_generation::float8 as "restartGeneration", applied_restart_generation::float8 as "appliedRestartGeneration",
            boot_id as "bootId", gateway_epoch::float8 as "gatewayEpoch", transition_kind as "transitionKind", sleep_state as "sleepState", suspended_at as "suspendedAt", false as "isGone",
            exists (select from messages where instance_id = instances.id and messages.status = 'pending') as "hasWaitingTurn",
            exists (select from runtime_intervals where instance_id = instances.id and ended_at is null) as "hasOpenInterval"
       from instances
      where deleted_at is null and queued_at is null
        and (start_not_before is null or start_not_before < now())
        and (transition_started_at is null or transition_started_at < now() - interval '1 minute')
        and (desired_status = 'destroyed' or boot_id is null or desired_status = 'stopped'
             or status <> 'running' or content_generation > applied_content_generation
             or restart_generation > applied_restart_generation
             or not exists (select from runtime_intervals where instance_id = instances.id and ended_at is null))
        and not (desired_status = 'stopped' and status = 'stopped' and boot_id is null and transition_kind is null)
        and (not ${IS_ASLEEP} or ${IS_RESTLESS})
        and not (desired_status = 'running' and status = 'error' and error_generation = power_generation)
        and not exists (select from outbox where workflow = 'reconcileInstance' and subject_id = instances.id)
      order by transition_started_at nulls first, id limit ${LIMIT}`,
  );
  return rows.filter((row) => !converged(row)).map(({ id }) => id);
}

export interface OwnedRuntime {
  runtimeId: string;
  instanceId: string;
  isGone: boolean;
}

/** The instances that own these runtimes. */
export async function findOwners(em: EntityManager, runtimeIds: readonly string[]): Promise<OwnedRuntime[]> {
  return query<OwnedRuntime>(
    em,
    sql`select runtime_id as "runtimeId", id as "instanceId", deleted_at is not null as "isGone"
       from instances where runtime_id in (select jsonb_array_elements_text(${JSON.stringify(runtimeIds)}::jsonb))`,
  );
}

/** Frees what relays claimed and never came back for, and forgets processes that were not seen for an hour. */
export async function tidyUp(em: EntityManager): Promise<void> {
  await run(em, sql`update outbox set claimed_until = null where claimed_until < now()`);
  await run(em, sql`delete from processes where seen_at < now() - interval '1 hour'`);
}

export interface RunningRow {
  instanceId: string;
  runtimeId: string;
  bootId: string;
}

/** Every instance of this node (null: of none) that takes messages, as its row says. */
export async function findRunning(em: EntityManager, nodeId: number | null): Promise<RunningRow[]> {
  return query<RunningRow>(
    em,
    sql`select instances.id as "instanceId", runtime_id as "runtimeId", boot_id as "bootId"
       from instances join runtimes on runtimes.id = runtime_id
      where boot_id is not null and status = 'running' and node_id is not distinct from ${nodeId}`,
  );
}

/**
 * Takes a gateway out of use that has provably ended a while ago and whose death no worker has noted, in the caller's
 * transaction. False, and nothing changed, when it was noted meanwhile.
 */
export async function noteLostGateway(
  em: EntityManager,
  { instanceId, bootId }: RunningRow,
  endedAt: Date | null,
): Promise<boolean> {
  const noted = await changeLifecycle(em, {
    instanceId,
    happening: { kind: 'found-lost' },
    allows: (row) => row.bootId === bootId,
  });
  if (!noted) return false;
  await closeInterval(em, instanceId, endedAt);
  return true;
}
