import type { EntityManager } from '@mikro-orm/postgresql';
import { BILLED, msBetween, provenUntil } from '../billing/meter-sql.ts';
import { columns } from '../db.ts';
import type { Row } from '../db.ts';
import { Agent } from '../entities/agent.ts';
import { Instance } from '../entities/instance.ts';
import { RuntimeInterval } from '../entities/runtime-interval.ts';
import { WatchShard } from '../entities/watch-shard.ts';
import { fetchPlannedRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { epochMs, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

/** An instance with everything that its customer sees of it. Times are milliseconds since 1970. */
export type InstanceRow = RowOf<typeof FIELDS>;

const INSTANCE = columns(Instance, 'instances');
const INTERVAL = columns(RuntimeInterval, 'i');
const SHARD = columns(WatchShard, 'shard');
const AGENT = columns(Agent, 'agents');

/**
 * An interval is billed up to the last proof that its gateway ran: a gateway that is found dead later was dead since
 * then at most, so what was shown stands.
 */
const TOTALS = sql`
  select max(started_at) as started_at, sum(greatest(ran, billed)) as ran, sum(billed) as billed, max(lost_at) as lost_at
    from (select ${INTERVAL.startedAt} as started_at, case when ${INTERVAL.endedAt} is null then ${INTERVAL.lostAt} end as lost_at,
                 greatest(0, ${msBetween(INTERVAL.startedAt, sql`coalesce(${INTERVAL.endedAt}, date_trunc('milliseconds', now()))`)}) as ran,
                 ${msBetween(
                   INTERVAL.startedAt,
                   sql`case when ${INTERVAL.settled} then ${BILLED}
                         else date_trunc('milliseconds', greatest(${BILLED}, ${provenUntil(sql`now()`)})) end`,
                 )} as billed
            from runtime_intervals i where ${INTERVAL.instance} = ${INSTANCE.id}) spans`;

type AgentOfInstance = Pick<Row<'Agent'>, 'slug' | 'status'> & { agentId: Row<'Agent'>['id'] };

const AGENTS = sql<AgentOfInstance[]>`coalesce((
  select json_agg(json_build_object('agentId', ${AGENT.id}, 'slug', ${AGENT.slug}, 'status', ${AGENT.status})
                  order by ${AGENT.createdAt}, ${AGENT.id})
    from agents where ${AGENT.instance} = ${INSTANCE.id} and ${AGENT.deletedAt} is null), '[]')`;

const TOTAL_STARTED_AT = sql<Date | null>`totals.started_at`;
const TOTAL_LOST_AT = sql<Date | null>`totals.lost_at`;

const FIELDS = {
  id: INSTANCE.id,
  name: INSTANCE.name,
  status: INSTANCE.status,
  desiredStatus: INSTANCE.desiredStatus,
  transitionKind: INSTANCE.transitionKind,
  transitionStartedMs: epochMs(INSTANCE.transitionStartedAt),
  transitionAttempt: INSTANCE.transitionAttempt,
  transitionStep: INSTANCE.transitionStep,
  reasonCode: INSTANCE.reasonCode,
  reasonMessage: INSTANCE.reasonMessage,
  reasonAtMs: epochMs(INSTANCE.reasonAt),
  reasonRetryable: INSTANCE.reasonRetryable,
  createdMs: epochMs(INSTANCE.createdAt),
  stoppedMs: epochMs(INSTANCE.stoppedAt),
  /** Its gateway is watched by no worker now, so that its status is only the last known one. */
  isStale: sql<boolean>`(${INSTANCE.bootId} is not null
    and (${SHARD.owner} is null or coalesce(${SHARD.expiresAt} < now(), true)))`,
  /** Since when its gateway has not answered, once that is longer than one that hangs is left running. */
  silentSinceMs: sql<
    number | null
  >`case when ${TOTAL_LOST_AT} < now() - interval '40 seconds' then ${epochMs(TOTAL_LOST_AT)} end`,
  agents: AGENTS,
  metadata: INSTANCE.metadata,
  /** Null: it never falls asleep. */
  sleepAfterMs: INSTANCE.sleepAfterMs,
  sleepState: INSTANCE.sleepState,
  sleepSinceMs: epochMs(INSTANCE.sleepSince),
  wakesAtMs: epochMs(INSTANCE.wakesAt),
  /** When its current or last interval began. */
  startedMs: epochMs(TOTAL_STARTED_AT),
  /** All the time that it was ready, the open interval included. */
  totalRuntimeMs: sql<number>`coalesce(totals.ran, 0)::float8`,
  /** What was debited and what has accrued. Never falls and is never over totalRuntimeMs. */
  billedMs: sql<number>`coalesce(totals.billed, 0)::float8`,
};

const viewOf = (fields: Sql): Sql => sql`
  select ${fields}
    from instances join watch_shards shard on ${SHARD.shard} = ${INSTANCE.shard}
    left join lateral (${TOTALS}) totals on true`;

/** These instances, in no order; without those that are gone. In one statement: this is what clients poll. */
export async function viewInstances(em: EntityManager, instanceIds: readonly string[]): Promise<InstanceRow[]> {
  if (instanceIds.length === 0) return [];
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`${viewOf(fields)} where ${INSTANCE.id} = any(${[...instanceIds]}) and ${INSTANCE.deletedAt} is null`,
  );
}

/** The account's instance; null when it has none of this id. */
export async function viewInstance(em: EntityManager, accountId: string, instanceId: string): Promise<InstanceRow | null> {
  return fetchPlannedRow(
    em,
    'view_instance',
    FIELDS,
    (fields) => sql`${viewOf(fields)}
     where ${INSTANCE.id} = ${instanceId} and ${INSTANCE.account} = ${accountId} and ${INSTANCE.deletedAt} is null`,
  );
}
