import { z } from 'zod';
import type { MessageView } from '../../../database/queries/find-messages.ts';
import { idField, timestamp } from '../../fields.ts';
import { agentParams } from '../agents/agent.schema.ts';

export const messageParams = agentParams.extend({ messageId: idField('msg') });

export const sessionIdField = z.string().min(1).max(128);

const sender = z.object({ type: z.string(), id: z.string(), name: z.string() });

export const messageSchema = z
  .object({
    messageId: idField('msg'),
    role: z.enum(['user', 'agent']),
    content: z.string().meta({
      description:
        'Empty while the turn has not ended. An attachment of the agent is a line `MEDIA:` with its URL, or its path inside the instance.',
    }),
    sender,
    timestamp,
    sessionId: z
      .string()
      .nullable()
      .meta({ description: 'Null: the one conversation without a name, or none: results of jobs are in no conversation.' }),
    status: z.enum(['pending', 'completed', 'failed', 'cancelled']).optional().meta({ description: 'Of what an agent said.' }),
    finishReason: z.enum(['stop', 'length']).nullable().optional().meta({
      description:
        'Of what an agent said: `length` when the model stopped at its limit of tokens, so that the end may be missing. Null unless the status is `completed`, for results of jobs, and for messages from before it was recorded.',
    }),
    source: z.enum(['cron', 'agent']).optional().meta({ description: 'Of what an agent said: `cron` for the result of a job.' }),
    jobName: z.string().nullable().optional().meta({ description: 'Of the job that it is the result of; null for all else.' }),
    contentTruncated: z
      .literal(true)
      .optional()
      .meta({ description: 'Only a part is here: it was longer than 1 MiB, or the gateway had only a part of it left.' }),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .optional()
      .meta({ description: 'Why there is no reply; null otherwise.' }),
    requestMessageId: idField('msg')
      .optional()
      .meta({ description: 'The message that this is the reply to; absent when the agent sent it by itself.' }),
    usage: z
      .object({ inputTokens: z.int(), outputTokens: z.int() })
      .optional()
      .meta({ description: 'Of a reply. What an agent used by itself is counted for the agent only.' }),
    latencyMs: z
      .int()
      .nullable()
      .optional()
      .meta({ description: 'From the message to the end of its reply; null when the agent sent it by itself.' }),
  })
  .meta({ id: 'Message' });

/** When a message was said; a reply that is not there yet has the time of its question. */
export function saidAt({ endedAt, createdAt }: MessageView): Date {
  return endedAt ?? createdAt;
}

/** A message as its customer sees it. */
export function presentMessage(message: MessageView): z.input<typeof messageSchema> {
  return {
    messageId: message.id,
    role: message.role,
    content: message.content,
    sender: { type: message.senderType, id: message.senderId, name: message.senderName },
    timestamp: saidAt(message).toISOString(),
    sessionId: message.sessionId === '' ? null : message.sessionId,
    ...(message.role === 'agent' ? answerOf(message) : {}),
  };
}

function answerOf(message: MessageView): Partial<z.input<typeof messageSchema>> {
  const { status, finishReason, source, jobName, contentTruncated, errorReason, errorMessage } = message;
  return {
    ...(status === null ? {} : { status }),
    finishReason,
    source: source ?? 'agent',
    jobName,
    ...(contentTruncated ? { contentTruncated: true as const } : {}),
    error: errorReason === null ? null : { code: errorReason, message: errorMessage ?? '' },
    ...(source === null ? turnOf(message) : { latencyMs: null }),
  };
}

function turnOf(reply: MessageView): Partial<z.input<typeof messageSchema>> {
  const { requestMessageId, endedAt, createdAt, inputTokens, outputTokens } = reply;
  return {
    ...(requestMessageId === null ? {} : { requestMessageId }),
    usage: { inputTokens, outputTokens },
    latencyMs: endedAt === null ? null : Math.max(0, endedAt.getTime() - createdAt.getTime()),
  };
}
