import type { FinishReason } from '../../../domain/turn.ts';
import type { AcceptedMessage } from '../../../turns/conversation/accept-message.ts';
import type { ReplyPart } from '../../../turns/conversation/stream-reply.ts';
import type { TurnView } from '../../../turns/turn-sender.ts';
import { toldHere } from './conversation.ts';

interface Delta {
  role?: 'assistant';
  content?: string;
}

/**
 * A reply as the data of server-sent events: chunks of a chat completion as the gateway writes them, then `[DONE]` once
 * the reply is stored. Throws what the client is told when there is none.
 */
export async function* chatChunks(sent: AcceptedMessage, parts: AsyncIterable<ReplyPart>): AsyncGenerator<string> {
  const chunk = chunksOf(sent);
  let hasBegun = false;
  try {
    for await (const part of parts) {
      if (!hasBegun) yield chunk({ role: 'assistant', content: '' });
      hasBegun = true;
      if (part.kind === 'text') yield chunk({ content: part.text });
      else yield chunk({}, part.turn.finishReason ?? 'stop', { usage: usageOf(part.turn.usage) });
    }
  } catch (error) {
    throw toldHere(error);
  }
  yield '[DONE]';
}

function chunksOf({ messageId, model, acceptedAtMs }: AcceptedMessage) {
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

function usageOf(usage: TurnView['usage']) {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens, models } = usage;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cacheReadTokens, cache_write_tokens: cacheWriteTokens },
    completion_tokens_details: { reasoning_tokens: thinkingTokens },
    models,
  };
}
