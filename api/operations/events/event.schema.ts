import { z } from 'zod';
import type { EventView } from '../../../database/queries/find-events.ts';
import { AGENT_EVENTS, NOTICE_EVENTS } from '../../../domain/webhook-events.ts';
import { idField, timestamp } from '../../fields.ts';

const seq = z.int().meta({ description: 'Counts the events of the account without a gap.' });

const facts = {
  eventId: idField('evt'),
  seq,
  eventType: z.enum([...AGENT_EVENTS, ...NOTICE_EVENTS]),
  messageId: z.string().nullable().meta({
    description:
      'Of the reply, or of the message that a cron job or the agent itself sent. Null for notices and for events of earlier versions.',
  }),
  content: z.string().meta({
    description:
      'In full, unless `contentTruncated` says otherwise. Empty for errors and notices. An attachment of the agent is a line `MEDIA:` with its URL, or its path inside the instance.',
  }),
  contentTruncated: z
    .literal(true)
    .optional()
    .meta({ description: 'Only a part is here: it was longer than 1 MiB, or the gateway had only a part of it left.' }),
  finishReason: z.enum(['stop', 'length']).nullable().meta({
    description:
      'Of an `agent.message`: `length` when the model stopped at its limit of tokens, so that the end of the content may be missing. Null for other events, and for those from before it was recorded.',
  }),
  sender: z.object({ type: z.literal('agent'), id: z.string(), name: z.string() }).nullable(),
  source: z.enum(['cron', 'agent']).nullable(),
  createdAt: timestamp,
  agentSlug: z.string().nullable(),
  jobName: z.string().nullable().meta({ description: 'Of the cron job that it is the result of.' }),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
};

export const eventSchema = z.object(facts).meta({ id: 'Event' });

export const accountEventSchema = z
  .object({
    ...facts,
    instanceId: idField('inst').nullable().meta({ description: 'Null: a notice about the account.' }),
    data: z.record(z.string(), z.unknown()).optional().meta({ description: 'What a notice says.' }),
  })
  .meta({ id: 'AccountEvent' });

export const deletedEventSchema = z
  .object({ eventId: idField('evt'), seq, eventType: z.enum([...AGENT_EVENTS, ...NOTICE_EVENTS]), deleted: z.literal(true) })
  .meta({ id: 'DeletedEvent', description: 'Its instance was deleted.' });

/** An event as its customer sees it. */
export function presentEvent(event: EventView): z.input<typeof eventSchema> {
  const { id: eventId, type: eventType, messageId, content, source, agentSlug, agentName, jobName, errorCode } = event;
  return {
    ...{ eventId, seq: event.seq, eventType, messageId, content: content ?? '', source, agentSlug, jobName },
    finishReason: event.finishReason,
    ...(event.contentTruncated ? { contentTruncated: true as const } : {}),
    sender: agentSlug === null ? null : { type: 'agent', id: agentSlug, name: agentName ?? agentSlug },
    createdAt: event.createdAt.toISOString(),
    error: errorCode === null ? null : { code: errorCode, message: event.errorMessage ?? '' },
  };
}

/** An event in the sequence of its account; of a deleted instance only its number is left. */
export function presentAccountEvent(event: EventView): z.input<typeof accountEventSchema> | z.input<typeof deletedEventSchema> {
  if (event.deleted) return { eventId: event.id, seq: event.seq, eventType: event.type, deleted: true };
  const data = event.data === null ? {} : { data: accountEventSchema.shape.data.parse(JSON.parse(event.data)) };
  return { ...presentEvent(event), instanceId: event.instanceId, ...data };
}
