import { z } from 'zod';
import type { FinishReason } from '../../../../domain/turn.ts';
import type { MessageView } from '../../../../database/messages/find-messages.ts';
import type { ReplyPart } from '../../../../turns/conversation/stream-reply.ts';
import { usageOf } from '../../../operations/messages/chat-chunks.ts';
import { toldHere } from './told.ts';

/** A message that was accepted as a chat completion. It survives JSON. */
export interface SentChat {
  messageId: string;
  /** As the client named it. */
  model: string;
  acceptedAtMs: number;
  sessionId: string;
}

const usageSchema = z.looseObject({ prompt_tokens: z.int(), completion_tokens: z.int(), total_tokens: z.int() });

export const chatCompletionSchema = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string(),
        refusal: z.null(),
        annotations: z.array(z.never()),
      }),
      logprobs: z.null(),
      finish_reason: z.enum(['stop', 'length']),
    }),
  ),
  usage: usageSchema,
  service_tier: z.literal('default'),
  system_fingerprint: z.null(),
  /** Which conversation it was said in. */
  metadata: z.object({ sessionId: z.string() }),
});

/** A reply as a chat completion. */
export function presentCompletion(sent: SentChat, reply: MessageView): z.input<typeof chatCompletionSchema> {
  const { content, finishReason } = reply;
  const message = { role: 'assistant' as const, content, refusal: null, annotations: [] };
  return {
    ...headOf(sent, 'chat.completion'),
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishReason ?? 'stop' }],
    usage: usageOf(reply),
    service_tier: 'default',
    system_fingerprint: null,
    metadata: { sessionId: sent.sessionId },
  };
}

/**
 * A reply as the data of server-sent events: chunks as OpenAI sends them, then `[DONE]` once the reply is stored. Throws
 * what the client is told when there is none.
 */
export async function* completionChunks(
  sent: SentChat,
  parts: AsyncIterable<ReplyPart>,
  { includeUsage }: { includeUsage: boolean },
): AsyncGenerator<string> {
  const chunk = chunksOf(sent, includeUsage);
  let hasBegun = false;
  try {
    for await (const part of parts) {
      if (!hasBegun) yield chunk({ role: 'assistant', content: '', refusal: null });
      hasBegun = true;
      if (part.kind === 'text') yield chunk({ content: part.text });
      else {
        yield chunk({}, part.turn.finishReason ?? 'stop');
        if (includeUsage) yield JSON.stringify({ ...chunkHead(sent), choices: [], usage: usageOf(part.turn.usage) });
      }
    }
  } catch (error) {
    throw toldHere(error);
  }
  yield '[DONE]';
}

function chunksOf(sent: SentChat, includeUsage: boolean) {
  return (delta: object, finishReason: FinishReason | null = null): string =>
    JSON.stringify({
      ...chunkHead(sent),
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
      ...(includeUsage ? { usage: null } : {}),
    });
}

function chunkHead(sent: SentChat) {
  return { ...headOf(sent, 'chat.completion.chunk'), service_tier: 'default', system_fingerprint: null };
}

function headOf<Kind extends string>({ messageId, model, acceptedAtMs }: SentChat, object: Kind) {
  return { id: `chatcmpl-${messageId}`, object, created: Math.floor(acceptedAtMs / 1000), model };
}
