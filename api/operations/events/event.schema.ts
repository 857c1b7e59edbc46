import { z } from 'zod';
import type { EventView } from '../../../database/events/find-events.ts';
import { AGENT_EVENTS, NOTICE_EVENTS } from '../../../domain/webhooks/webhook-events.ts';
import { idField, timestamp } from '../../contract/fields.ts';

const seq = z
  .int()
  .meta({ description: 'The sequence number of the event. The events of an account are numbered without gaps.' });

/** A sequence number in a request; null when the text is none. */
export function parseSeq(text: string): number | null {
  return /^\d+$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : null;
}

/** `after` of a query: 0 when it is left out. */
export const afterField = z
  .string()
  .transform((text, context) => {
    const after = parseSeq(text);
    if (after !== null) return after;
    context.addIssue('Must be a whole number from 0.');
    return z.NEVER;
  })
  .default(0)
  .meta({
    description: 'Only return events whose `seq` is greater than this number.',
    override: ({ jsonSchema }) => {
      Object.assign(jsonSchema, { type: 'integer', minimum: 0, default: 0 });
    },
  });

const facts = {
  eventId: idField('evt'),
  seq,
  eventType: z.enum([...AGENT_EVENTS, ...NOTICE_EVENTS]),
  messageId: z.string().nullable().meta({
    description:
      'The id of the reply, or of the message that the agent sent for a cron job or without a request. `null` for notices and for events recorded by earlier versions.',
  }),
  content: z.string().meta({
    description:
      'The full text of the message, unless `contentTruncated` is present. Empty for errors and notices. An attachment of the agent is a line that begins with `MEDIA:`, followed by a URL or a path inside the instance.',
  }),
  contentTruncated: z.literal(true).optional().meta({
    description:
      'Present when `content` is only a part of the message: the message was longer than 1 MiB, or the gateway had kept only a part of it.',
  }),
  finishReason: z.enum(['stop', 'length']).nullable().meta({
    description:
      'Why the model stopped, for `agent.message` events: `length` when it reached its token limit, so that the end of the content may be missing. `null` for other events and for events recorded by earlier versions.',
  }),
  sender: z.object({ type: z.literal('agent'), id: z.string(), name: z.string() }).nullable(),
  source: z
    .enum(['cron', 'agent'])
    .nullable()
    .meta({ description: '`cron` for a cron job, `agent` for other events of an agent; `null` for notices.' }),
  createdAt: timestamp,
  agentSlug: z.string().nullable().meta({ description: 'The slug of the agent; `null` for notices.' }),
  jobName: z.string().nullable().meta({ description: 'The name of the cron job whose result this is; `null` for other events.' }),
  lateMs: z.int().optional().meta({
    description:
      'How late the run of the cron job began because the instance was asleep, in milliseconds. Absent for runs that began on time and for other events.',
  }),
  error: z
    .object({ code: z.string(), message: z.string() })
    .nullable()
    .meta({ description: 'What went wrong; `null` for events without an error.' }),
};

export const eventSchema = z.object(facts).meta({ id: 'Event' });

export const accountEventSchema = z
  .object({
    ...facts,
    instanceId: idField('inst')
      .nullable()
      .meta({ description: 'The instance of the event; `null` for a notice about the account.' }),
    data: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'The facts of a notice, such as `hoursLeft` of `billing.low`. Absent for other events.' }),
  })
  .meta({ id: 'AccountEvent' });

export const deletedEventSchema = z
  .object({ eventId: idField('evt'), seq, eventType: z.enum([...AGENT_EVENTS, ...NOTICE_EVENTS]), deleted: z.literal(true) })
  .meta({ id: 'DeletedEvent', description: 'An event of a deleted instance.' });

/** An event as its customer sees it. */
export function presentEvent(event: EventView): z.input<typeof eventSchema> {
  const { id: eventId, type: eventType, messageId, content, source, agentSlug, agentName, jobName, errorCode } = event;
  return {
    ...{ eventId, seq: event.seq, eventType, messageId, content: content ?? '', source, agentSlug, jobName },
    finishReason: event.finishReason,
    ...(event.contentTruncated ? { contentTruncated: true as const } : {}),
    ...(event.lateMs === null ? {} : { lateMs: event.lateMs }),
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
