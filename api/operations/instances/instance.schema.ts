import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import type { Instance } from '../../../database/entities/instance.ts';
import { findRuntimeTotals } from '../../../database/queries/runtime-totals.ts';
import { findUnwatched } from '../../../database/queries/unwatched-instances.ts';
import { idField, timestamp } from '../../fields.ts';

export const instanceStatus = z.enum(['provisioning', 'running', 'stopped', 'destroying', 'error']);
export const agentStatus = z.enum(['pending', 'active', 'error', 'deleting']);

export const instanceParams = z.object({ instanceId: idField('inst') });

const transition = z.object({
  kind: z.enum(['starting', 'stopping', 'restarting', 'recovering', 'destroying']),
  startedAt: timestamp,
  attempt: z.int(),
  step: z.string().nullable().meta({ description: '`queued` while it waits for a free place.' }),
});

const statusReason = z.object({ code: z.string(), message: z.string(), at: timestamp, retryable: z.boolean() });

export const instanceSchema = z
  .object({
    instanceId: idField('inst'),
    name: z.string(),
    status: instanceStatus,
    desiredStatus: z.enum(['running', 'stopped', 'destroyed']).meta({ description: 'What was asked for last.' }),
    transition: transition.nullable().meta({ description: 'What is under way; null when nothing is.' }),
    statusReason: statusReason.nullable().meta({ description: 'Why it is in this status, where there is something to say.' }),
    statusStale: z
      .literal(true)
      .optional()
      .meta({ description: 'The runtime cannot be asked at the moment: this is the last known status.' }),
    agents: z.array(z.object({ agentId: idField('agt'), slug: z.string(), status: agentStatus })),
    createdAt: timestamp,
    startedAt: timestamp.nullable().meta({ description: 'When it began to run, this or the last time; null before the first.' }),
    stoppedAt: timestamp.nullable(),
    totalRuntimeMs: z.int().meta({ description: 'All the time that it ran.' }),
    billedMs: z.int().meta({ description: 'How much of it has been charged; never falls.' }),
  })
  .meta({ id: 'Instance' });

type InstanceView = z.input<typeof instanceSchema>;

/** Instances as their customer sees them, in the same order. */
export async function presentInstances(em: EntityManager, instances: readonly Instance[]): Promise<InstanceView[]> {
  const ids = instances.map(({ id }) => id);
  const agents = await em.find(Agent, { instance: { $in: ids }, deletedAt: null }, { orderBy: { createdAt: 'asc', id: 'asc' } });
  const totalsOf = await findRuntimeTotals(em, ids);
  const unwatched = await findUnwatched(em, ids);
  return instances.map((instance) => {
    const { startedAt, totalRuntimeMs, billedMs } = totalsOf(instance.id);
    return {
      instanceId: instance.id,
      name: instance.name,
      status: instance.status,
      desiredStatus: instance.desiredStatus,
      transition: transitionOf(instance),
      statusReason: reasonOf(instance),
      ...(unwatched.has(instance.id) ? { statusStale: true as const } : {}),
      agents: agents
        .filter((agent) => agent.instance === instance.id)
        .map(({ id, slug, status }) => ({ agentId: id, slug, status })),
      createdAt: instance.createdAt.toISOString(),
      startedAt: startedAt?.toISOString() ?? null,
      stoppedAt: instance.stoppedAt?.toISOString() ?? null,
      totalRuntimeMs,
      billedMs,
    };
  });
}

/** One instance as its customer sees it. */
export async function presentInstance(em: EntityManager, instance: Instance): Promise<InstanceView> {
  const [view] = await presentInstances(em, [instance]);
  if (!view) throw new Error('one instance has one view');
  return view;
}

function transitionOf({
  transitionKind,
  transitionStartedAt,
  transitionAttempt,
  transitionStep,
}: Instance): InstanceView['transition'] {
  if (transitionKind === null || transitionStartedAt === null) return null;
  return { kind: transitionKind, startedAt: transitionStartedAt.toISOString(), attempt: transitionAttempt, step: transitionStep };
}

function reasonOf({ reasonCode, reasonMessage, reasonAt, reasonRetryable }: Instance): InstanceView['statusReason'] {
  if (reasonCode === null || reasonAt === null) return null;
  return { code: reasonCode, message: reasonMessage ?? '', at: reasonAt.toISOString(), retryable: reasonRetryable ?? false };
}
