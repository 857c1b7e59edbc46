import { z } from 'zod';
import type { MessageView } from '../../../database/messages/find-messages.ts';
import type { Step } from '../../../domain/steps.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { agentParams } from '../agents/agent.schema.ts';
import { attachmentSchema } from './attachment.schema.ts';

export const messageParams = agentParams.extend({ messageId: idField('msg') });

export const sessionIdField = z.string().min(1).max(128);

const sender = z.object({ type: z.string(), id: z.string(), name: z.string() });

const usageSchema = z.object({
  inputTokens: z.int().meta({ description: 'The tokens that the models read, cached ones included.' }),
  outputTokens: z.int().meta({ description: 'The tokens that the models wrote, thinking included.' }),
  cacheReadTokens: z.int().meta({ description: 'The input tokens that were read from the cache of the provider.' }),
  cacheWriteTokens: z.int().meta({ description: 'The input tokens that were written to the cache of the provider.' }),
  thinkingTokens: z.int().meta({ description: 'The output tokens that the models used for thinking.' }),
  costNanoUsd: z.string().meta({ description: 'The charge for the tokens, in 10^-9 USD; `0` for models without prices.' }),
  models: z.array(z.string()).meta({
    description: 'The models that answered, as their providers name them; more than one when another provider took over.',
  }),
});

export const stepSchema = z
  .object({
    stepId: idField('step'),
    kind: z.literal('tool'),
    name: z.string().meta({ description: 'The tool that the agent called.' }),
    status: z.enum(['started', 'ended']),
    startedAt: timestamp,
    endedAt: timestamp.nullable(),
    isError: z.boolean(),
    input: z.string().nullable().meta({
      description:
        'The arguments of the call, as JSON; at most 4 KiB. Values of secrets and tokens are masked. `null` when it is not known.',
    }),
    output: z.string().nullable().meta({
      description:
        'What the tool answered; at most 4 KiB. Values of secrets and tokens are masked. `null` until the step has ended.',
    }),
  })
  .meta({ id: 'Step' });

/** What a client asks for beside the reply. */
export const includeField = z.literal('steps');

export const STEPS_IN_STREAM =
  '`steps`: the stream also has events with the name `step`, one when the agent begins a step and one when the step has ended. They have no `id`; a stream that goes on begins with the steps so far.';

export const messageSchema = z
  .object({
    messageId: idField('msg'),
    role: z.enum(['user', 'agent']),
    content: z.string().meta({
      description:
        'The text of the message; empty while the turn has not ended. An attachment of the agent is a line that begins with `MEDIA:`, followed by a URL or a path inside the instance.',
    }),
    attachments: z
      .array(attachmentSchema)
      .optional()
      .meta({ description: 'The files that came with the message. Present on messages to the agent that have some.' }),
    sender,
    timestamp,
    sessionId: z.string().nullable().meta({
      description:
        'The conversation of the message; `null` for the default conversation of the agent and for results of cron jobs, which belong to no conversation.',
    }),
    status: z
      .enum(['pending', 'completed', 'failed', 'cancelled'])
      .optional()
      .meta({ description: 'The status of the turn. Present on messages of the agent.' }),
    finishReason: z.enum(['stop', 'length']).nullable().optional().meta({
      description:
        'Why the model stopped, on messages of the agent: `length` when it reached its token limit, so that the end of the content may be missing. `null` unless the status is `completed`, for results of cron jobs, and for messages recorded by earlier versions.',
    }),
    source: z
      .enum(['cron', 'agent'])
      .optional()
      .meta({ description: 'Present on messages of the agent: `cron` for the result of a cron job, otherwise `agent`.' }),
    jobName: z
      .string()
      .nullable()
      .optional()
      .meta({ description: 'The name of the cron job whose result this is; `null` for other messages of the agent.' }),
    contentTruncated: z.literal(true).optional().meta({
      description:
        'Present when `content` is only a part of the message: the message was longer than 1 MiB, or the gateway had kept only a part of it.',
    }),
    error: z
      .object({ code: z.string(), message: z.string() })
      .nullable()
      .optional()
      .meta({ description: 'Why the turn failed or was cancelled; `null` otherwise.' }),
    requestMessageId: idField('msg').optional().meta({
      description: 'The id of the message that this reply answers. Absent when the agent sent the message without a request.',
    }),
    usage: usageSchema.optional().meta({
      description:
        'The tokens used for the reply. Absent for messages that the agent sent without a request: their tokens count in the usage of the agent only.',
    }),
    steps: z.array(stepSchema).optional().meta({
      description:
        'What the agent did during the turn, the first 200 steps, kept for 30 days. Present on messages of the agent when `include` asks for it.',
    }),
    latencyMs: z.int().nullable().optional().meta({
      description:
        'The time from the message to the end of its reply, in milliseconds; `null` when the agent sent the message without a request.',
    }),
  })
  .meta({ id: 'Message' });

/** When a message was said; a reply that is not there yet has the time of its question. */
export function saidAt({ endedAt, createdAt }: MessageView): Date {
  return endedAt ?? createdAt;
}

/** A message as its customer sees it. */
export function presentMessage(message: MessageView, steps?: Step[]): z.input<typeof messageSchema> {
  return {
    messageId: message.id,
    role: message.role,
    content: message.content,
    ...(message.attachments === null ? {} : { attachments: message.attachments }),
    sender: { type: message.senderType, id: message.senderId, name: message.senderName },
    timestamp: saidAt(message).toISOString(),
    sessionId: message.sessionId === '' ? null : message.sessionId,
    ...(message.role === 'agent' ? { ...answerOf(message), ...(steps && { steps }) } : {}),
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
  const { requestMessageId, endedAt, createdAt } = reply;
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, costNanoUsd, models } = reply;
  return {
    ...(requestMessageId === null ? {} : { requestMessageId }),
    usage: { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, costNanoUsd, models },
    latencyMs: endedAt === null ? null : Math.max(0, endedAt.getTime() - createdAt.getTime()),
  };
}
