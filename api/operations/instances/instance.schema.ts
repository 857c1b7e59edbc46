import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Instance } from '../../../database/entities/instance.ts';
import { viewInstance, viewInstances } from '../../../database/instances/view-instances.ts';
import type { InstanceRow } from '../../../database/instances/view-instances.ts';
import { AppError } from '../../../domain/errors.ts';
import { GATEWAY_SLOW } from '../../../domain/failures.ts';
import { LEAST_SLEEP_AFTER_MS } from '../../../domain/sleep.ts';
import { metadataField } from '../../contract/metadata.ts';
import { idField, timestamp } from '../../contract/fields.ts';

/** What the database can hold: over three weeks. */
const MAX_INT = 2_147_483_647;

export const instanceStatus = z.enum(['provisioning', 'running', 'stopped', 'destroying', 'error']);
export const agentStatus = z.enum(['pending', 'active', 'error', 'deleting']);

/** `sleepAfterMs` of a request; null: the instance never falls asleep. */
export const sleepAfterField = z.int().min(LEAST_SLEEP_AFTER_MS).max(MAX_INT).nullable().meta({
  description:
    'How long the instance may have no turn before it falls asleep, in milliseconds; `null`: it never does. While it sleeps, nothing is charged; a message wakes it.',
});

export const instanceParams = z.object({ instanceId: idField('inst') });

const transition = z.object({
  kind: z.enum(['starting', 'stopping', 'restarting', 'recovering', 'destroying']),
  startedAt: timestamp,
  attempt: z.int().meta({ description: 'The number of the attempt, from 1; 0 before the first attempt.' }),
  step: z.string().nullable().meta({
    description:
      'The current step of the transition, such as `queued` while the instance waits for a free slot or for other starts on a busy machine; `null` when no step is known.',
  }),
});

const sleep = z.object({
  afterMs: z.int().meta({ description: 'How long the instance may be idle before it falls asleep, in milliseconds.' }),
  state: z.enum(['awake', 'asleep', 'waking']).meta({
    description:
      '`asleep` while nothing is charged and no gateway runs: a message, `start` or a cron job wakes the instance. `waking` until its gateway runs again.',
  }),
  since: timestamp.nullable().meta({ description: 'When this state began; `null` before the first sleep.' }),
  wakesAt: timestamp
    .nullable()
    .meta({ description: 'When a sleeping instance wakes for its next cron job; `null` when no job is scheduled.' }),
});

const statusReason = z.object({ code: z.string(), message: z.string(), at: timestamp, retryable: z.boolean() });

export const instanceSchema = z
  .object({
    instanceId: idField('inst'),
    name: z.string(),
    status: instanceStatus,
    desiredStatus: z.enum(['running', 'stopped', 'destroyed']).meta({ description: 'The status that was requested last.' }),
    transition: transition
      .nullable()
      .meta({ description: 'The change to the desired status that is in progress; `null` when there is none.' }),
    statusReason: statusReason
      .nullable()
      .meta({ description: 'Why the instance has this status; `null` when there is nothing to explain.' }),
    statusStale: z.literal(true).optional().meta({
      description: 'Present when no worker watches the gateway at the moment, so that `status` is the last known status.',
    }),
    sleep: sleep.nullable().meta({ description: 'Whether the instance sleeps; `null` when it never falls asleep.' }),
    agents: z.array(z.object({ agentId: idField('agt'), slug: z.string(), status: agentStatus })),
    metadata: metadataField,
    createdAt: timestamp,
    startedAt: timestamp.nullable().meta({ description: 'When the instance last began to run; `null` before its first run.' }),
    stoppedAt: timestamp.nullable().meta({ description: 'When the instance last stopped or failed; `null` before that.' }),
    totalRuntimeMs: z.int().meta({ description: 'The total running time in milliseconds.' }),
    billedMs: z
      .int()
      .meta({ description: 'The part of the running time that has been charged, in milliseconds. The value never decreases.' }),
  })
  .meta({ id: 'Instance' });

export type InstanceView = z.input<typeof instanceSchema>;

/** Instances as their customer sees them, in the same order. */
export async function presentInstances(em: EntityManager, instances: readonly Pick<Instance, 'id'>[]): Promise<InstanceView[]> {
  const rows = await viewInstances(
    em,
    instances.map(({ id }) => id),
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  return instances.flatMap(({ id }) => {
    const row = byId.get(id);
    return row ? [present(row)] : [];
  });
}

/** The account's instance as the API shows it. Throws `not_found`, also for another account's instance and for a deleted one. */
export async function presentInstance(
  em: EntityManager,
  owned: { accountId: string; instanceId: string },
): Promise<InstanceView> {
  const row = await viewInstance(em, owned.accountId, owned.instanceId);
  if (!row) throw new AppError('not_found', 'Instance not found');
  return present(row);
}

function present(row: InstanceRow): InstanceView {
  const { id, name, status, desiredStatus, agents, totalRuntimeMs, billedMs } = row;
  return {
    instanceId: id,
    name,
    status,
    desiredStatus,
    transition: transitionOf(row),
    statusReason: reasonOf(row),
    ...(row.isStale ? { statusStale: true as const } : {}),
    sleep: sleepOf(row),
    agents,
    metadata: row.metadata,
    createdAt: isoTime(row.createdMs),
    startedAt: row.startedMs === null ? null : isoTime(row.startedMs),
    stoppedAt: row.stoppedMs === null ? null : isoTime(row.stoppedMs),
    totalRuntimeMs,
    billedMs,
  };
}

function isoTime(ms: number): string {
  return new Date(Math.round(ms)).toISOString();
}

function transitionOf(row: InstanceRow): InstanceView['transition'] {
  const { transitionKind: kind, transitionStartedMs, transitionAttempt: attempt, transitionStep: step } = row;
  if (kind === null || transitionStartedMs === null) return null;
  return { kind, startedAt: isoTime(transitionStartedMs), attempt, step };
}

function sleepOf({ sleepAfterMs, sleepState, sleepSinceMs, wakesAtMs }: InstanceRow): InstanceView['sleep'] {
  if (sleepAfterMs === null) return null;
  return {
    afterMs: sleepAfterMs,
    state: sleepState,
    since: sleepSinceMs === null ? null : isoTime(sleepSinceMs),
    wakesAt: wakesAtMs === null ? null : isoTime(wakesAtMs),
  };
}

function reasonOf(row: InstanceRow): InstanceView['statusReason'] {
  const { reasonCode: code, reasonMessage, reasonAtMs, reasonRetryable, silentSinceMs } = row;
  // Without a worker that watches it, a gateway is not asked anything.
  if (row.status === 'running' && silentSinceMs !== null && !row.isStale) return { ...GATEWAY_SLOW, at: isoTime(silentSinceMs) };
  if (code === null || reasonAtMs === null) return null;
  return { code, message: reasonMessage ?? '', at: isoTime(reasonAtMs), retryable: reasonRetryable ?? false };
}
