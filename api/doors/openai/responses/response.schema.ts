import { z } from 'zod';
import type { ResponseRequest } from '../../../../database/entities/response.ts';
import type { TurnView } from '../../../../database/messages/find-turn.ts';
import { idPattern } from '../../../../domain/ids.ts';
import type { TurnUsage } from '../../../../database/messages/turn-usage.ts';

const PREFIX = 'resp_';

/** The id of the response that is this reply. */
export function responseId(messageId: string): string {
  return `${PREFIX}${messageId}`;
}

/** The reply that a response is; null for what cannot be the id of one. */
export function messageOfResponse(id: string): string | null {
  const messageId = id.startsWith(PREFIX) ? id.slice(PREFIX.length) : '';
  return idPattern('msg').test(messageId) ? messageId : null;
}

export const responseParams = z.object({
  responseId: z.string().transform((id, context) => {
    const messageId = messageOfResponse(id);
    if (messageId !== null) return messageId;
    context.addIssue('Not the id of a response.');
    return z.NEVER;
  }),
});

const outputMessage = z.object({
  id: z.string(),
  type: z.literal('message'),
  status: z.enum(['completed', 'incomplete', 'in_progress']),
  role: z.literal('assistant'),
  content: z.array(
    z.object({
      type: z.literal('output_text'),
      text: z.string(),
      annotations: z.array(z.never()),
      logprobs: z.array(z.never()),
    }),
  ),
});

export const responseSchema = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.int(),
  completed_at: z.int().nullable(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  background: z.boolean(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  incomplete_details: z.object({ reason: z.literal('max_output_tokens') }).nullable(),
  instructions: z.string().nullable(),
  max_output_tokens: z.null(),
  metadata: z.record(z.string(), z.string()),
  model: z.string(),
  output: z.array(outputMessage),
  parallel_tool_calls: z.literal(true),
  previous_response_id: z.string().nullable(),
  conversation: z.object({ id: z.string() }).nullable(),
  reasoning: z.object({ effort: z.null(), summary: z.null() }),
  service_tier: z.literal('default'),
  store: z.literal(true),
  temperature: z.null(),
  text: z.object({ format: z.object({ type: z.literal('text') }) }),
  tool_choice: z.literal('auto'),
  tools: z.array(z.never()),
  top_p: z.null(),
  truncation: z.literal('disabled'),
  usage: z.looseObject({ input_tokens: z.int(), output_tokens: z.int(), total_tokens: z.int() }).nullable(),
});

export type ResponseObject = z.input<typeof responseSchema>;

/** A reply with what its request had in it, as OpenAI's Responses API shows it. */
export function presentResponse(turn: TurnView, request: ResponseRequest): ResponseObject {
  const { status, finishReason, errorReason, errorMessage, endedAt } = turn;
  const isCut = status === 'completed' && finishReason === 'length';
  return {
    id: responseId(turn.messageId),
    object: 'response',
    created_at: seconds(turn.createdAt),
    completed_at: status === 'completed' && endedAt ? seconds(endedAt) : null,
    status: statusOf(turn),
    background: request.background,
    error: status === 'failed' ? { code: 'server_error', message: `${errorMessage ?? ''} (${errorReason})` } : null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    instructions: request.instructions,
    max_output_tokens: null,
    metadata: request.metadata,
    model: request.model,
    output: status === 'completed' ? [presentOutput(turn, isCut ? 'incomplete' : 'completed')] : [],
    parallel_tool_calls: true,
    previous_response_id: request.previousResponseId,
    conversation: turn.conversationId === null ? null : { id: turn.conversationId },
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: true,
    temperature: null,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: null,
    truncation: 'disabled',
    usage: status === 'pending' ? null : usageOf(turn.usage),
  };
}

/** The one item of a response's output. */
export function presentOutput(
  { messageId, content }: TurnView,
  status: 'completed' | 'incomplete',
): z.input<typeof outputMessage> {
  return { id: messageId, type: 'message', status, role: 'assistant', content: [textPart(content)] };
}

/** The one part of that item. */
export function textPart(text: string): z.input<typeof outputMessage>['content'][number] {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function statusOf({ status, finishReason }: TurnView): ResponseObject['status'] {
  if (status === 'pending') return 'in_progress';
  return status === 'completed' && finishReason === 'length' ? 'incomplete' : status;
}

function usageOf({ inputTokens, outputTokens, cacheReadTokens, thinkingTokens }: TurnUsage) {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cacheReadTokens },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: thinkingTokens },
    total_tokens: inputTokens + outputTokens,
  };
}

function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}
