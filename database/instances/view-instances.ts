import type { EntityManager } from '@mikro-orm/postgresql';
import type { DesiredStatus, InstanceStatus, TransitionKind } from '../../domain/lifecycle.ts';
import type { SleepState } from '../../domain/sleep.ts';
import { BILLED, msBetween, provenUntil } from '../billing/meter-sql.ts';
import type { Metadata } from '../merge-metadata.ts';
import { epochMs, plannedQuery, query, sql } from '../sql.ts';

/** An instance with everything that its customer sees of it. Times are milliseconds since 1970. */
export interface InstanceRow {
  id: string;
  name: string;
  status: InstanceStatus;
  desiredStatus: DesiredStatus;
  transitionKind: TransitionKind | null;
  transitionStartedMs: number | null;
  transitionAttempt: number;
  transitionStep: string | null;
  reasonCode: string | null;
  reasonMessage: string | null;
  reasonAtMs: number | null;
  reasonRetryable: boolean | null;
  createdMs: number;
  stoppedMs: number | null;
  /** Its gateway is watched by no worker now, so that its status is only the last known one. */
  isStale: boolean;
  /** Since when its gateway has not answered, once that is longer than one that hangs is left running. */
  silentSinceMs: number | null;
  agents: { agentId: string; slug: string; status: 'pending' | 'active' | 'error' | 'deleting' }[];
  metadata: Metadata;
  /** Null: it never falls asleep. */
  sleepAfterMs: number | null;
  sleepState: SleepState;
  sleepSinceMs: number | null;
  wakesAtMs: number | null;
  /** When its current or last interval began. */
  startedMs: number | null;
  /** All the time that it was ready, the open interval included. */
  totalRuntimeMs: number;
  /** What was debited and what has accrued. Never falls and is never over totalRuntimeMs. */
  billedMs: number;
}

/**
 * An interval is billed up to the last proof that its gateway ran: a gateway that is found dead later was dead since
 * then at most, so what was shown stands.
 */
const TOTALS = sql`
  select max(started_at) as started_at, sum(greatest(ran, billed)) as ran, sum(billed) as billed, max(lost_at) as lost_at
    from (select i.started_at, case when i.ended_at is null then i.lost_at end as lost_at,
                 greatest(0, ${msBetween(sql`i.started_at`, sql`coalesce(i.ended_at, date_trunc('milliseconds', now()))`)}) as ran,
                 ${msBetween(
                   sql`i.started_at`,
                   sql`case when i.settled then ${BILLED}
                         else date_trunc('milliseconds', greatest(${BILLED}, ${provenUntil(sql`now()`)})) end`,
                 )} as billed
            from runtime_intervals i where i.instance_id = instances.id) spans`;

const AGENTS = sql`
  select json_agg(json_build_object('agentId', id, 'slug', slug, 'status', status) order by created_at, id)
    from agents where agents.instance_id = instances.id and agents.deleted_at is null`;

const COLUMNS = sql`
  instances.id, instances.name, instances.status, instances.desired_status as "desiredStatus",
  instances.transition_kind as "transitionKind", ${epochMs(sql`instances.transition_started_at`)} as "transitionStartedMs",
  instances.transition_attempt as "transitionAttempt", instances.transition_step as "transitionStep",
  instances.reason_code as "reasonCode", instances.reason_message as "reasonMessage",
  ${epochMs(sql`instances.reason_at`)} as "reasonAtMs", instances.reason_retryable as "reasonRetryable",
  ${epochMs(sql`instances.created_at`)} as "createdMs", ${epochMs(sql`instances.stopped_at`)} as "stoppedMs",
  (instances.boot_id is not null and (shard.owner is null or coalesce(shard.expires_at < now(), true))) as "isStale",
  case when totals.lost_at < now() - interval '40 seconds' then ${epochMs(sql`totals.lost_at`)} end as "silentSinceMs",
  instances.sleep_after_ms as "sleepAfterMs", instances.sleep_state as "sleepState",
  ${epochMs(sql`instances.sleep_since`)} as "sleepSinceMs", ${epochMs(sql`instances.wakes_at`)} as "wakesAtMs",
  coalesce((${AGENTS}), '[]') as agents, instances.metadata, ${epochMs(sql`totals.started_at`)} as "startedMs",
  coalesce(totals.ran, 0)::float8 as "totalRuntimeMs", coalesce(totals.billed, 0)::float8 as "billedMs"`;

const VIEW = sql`
  select ${COLUMNS}
    from instances join watch_shards shard on shard.shard = instances.shard
    left join lateral (${TOTALS}) totals on true`;

/** These instances, in no order; without those that are gone. In one statement: this is what clients poll. */
export async function viewInstances(em: EntityManager, instanceIds: readonly string[]): Promise<InstanceRow[]> {
  if (instanceIds.length === 0) return [];
  return query<InstanceRow>(em, sql`${VIEW} where instances.id = any(${[...instanceIds]}) and instances.deleted_at is null`);
}

/** The account's instance; null when it has none of this id. */
export async function viewInstance(em: EntityManager, accountId: string, instanceId: string): Promise<InstanceRow | null> {
  const statement = sql`${VIEW}
   where instances.id = ${instanceId} and instances.account_id = ${accountId} and instances.deleted_at is null`;
  const [row] = await plannedQuery<InstanceRow>(em, 'view_instance', statement);
  return row ?? null;
}
