import { z } from 'zod';
import type { FinishReason } from '../../../domain/turn.ts';
import { REPLY_BEGIN } from '../../../turns/conversation/reply-place.ts';
import type { ReplyPart, StepPart } from '../../../turns/conversation/stream-reply.ts';
import type { TurnView } from '../../../turns/turn-sender.ts';
import type { StreamFrame } from '../../http/event-stream.ts';
import { idField } from '../../contract/fields.ts';
import { toldHere } from './conversation.ts';
import { writeFrameId } from './frame-id.ts';
import type { FramePlace } from './frame-id.ts';

interface Delta {
  role?: 'assistant';
  content?: string;
}

/** Of which reply the chunks are. */
interface Streamed {
  messageId: string;
  model: string;
  acceptedAtMs: number;
}

export const chatChunkSchema = z.object({
  id: idField('msg'),
  object: z.literal('chat.completion.chunk'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.int(),
      delta: z.object({ role: z.literal('assistant').optional(), content: z.string().optional() }),
      finish_reason: z.enum(['stop', 'length']).nullable(),
    }),
  ),
});

/**
 * A reply as server-sent events: chunks of a chat completion as the gateway writes them, then `[DONE]` once the reply is
 * stored. The id of each says where a client goes on that has it; `after` is the last that this one has, and without it
 * the reply begins. Steps are events of another name, without an id: a client that goes on gets those again which it has. Throws
 * what the client is told when there is no reply.
 */
export async function* chatChunks(
  sent: Streamed,
  parts: AsyncIterable<ReplyPart | StepPart>,
  after?: FramePlace,
): AsyncGenerator<StreamFrame> {
  const chunk = chunksOf(sent);
  let hasRole = after !== undefined;
  let place = after?.reply ?? REPLY_BEGIN;
  let isFinished = after?.isFinished ?? false;
  try {
    for await (const part of parts) {
      if (part.kind === 'step') {
        yield { event: 'step', data: JSON.stringify(part.step) };
        continue;
      }
      if (!hasRole) yield { id: writeFrameId(place, 'text'), data: chunk({ role: 'assistant', content: '' }) };
      hasRole = true;
      if (part.kind === 'text') {
        place = part.place;
        isFinished = false;
        yield { id: writeFrameId(place, 'text'), data: chunk({ content: part.text }) };
      } else if (!isFinished) {
        const { finishReason, usage } = part.turn;
        yield { id: writeFrameId(place, 'finish'), data: chunk({}, finishReason ?? 'stop', { usage: usageOf(usage) }) };
      }
    }
  } catch (error) {
    throw toldHere(error);
  }
  yield { id: writeFrameId(place, 'done'), data: '[DONE]' };
}

function chunksOf({ messageId, model, acceptedAtMs }: Streamed) {
  return (delta: Delta, finishReason: FinishReason | null = null, more: object = {}): string =>
    JSON.stringify({
      id: messageId,
      object: 'chat.completion.chunk',
      created: Math.floor(acceptedAtMs / 1000),
      model,
      choices: [{ index: 0, delta, finish_reason: finishReason }],
      ...more,
    });
}

/** As OpenAI counts tokens, what they cost, and which models answered. */
export function usageOf(usage: TurnView['usage']) {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, costNanoUsd, models } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cacheReadTokens, cache_write_tokens: cacheWriteTokens },
    completion_tokens_details: { reasoning_tokens: thinkingTokens },
    models,
    costNanoUsd,
  };
}
