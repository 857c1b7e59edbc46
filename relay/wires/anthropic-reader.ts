import { z } from 'zod';
import { CONTENT_FILTER } from '../../domain/turn.ts';
import { estimatedTokens } from '../../lib/text/estimated-tokens.ts';
import type { AnswerReader, Said, Usage } from '../usage-tap.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { bytesOfTexts, tokens } from './texts.ts';

const NAMES = new Set(['type', 'id', 'signature']);

/** What Anthropic's reasons are in the words that calls are recorded with. */
const FINISH_REASONS: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  refusal: CONTENT_FILTER,
};

const count = tokens.nullish().catch(null);
const counts = z.object({
  input_tokens: count,
  cache_read_input_tokens: count,
  cache_creation_input_tokens: count,
  output_tokens: count,
  output_tokens_details: z.object({ thinking_tokens: count }).nullish().catch(null),
});
type Counts = z.infer<typeof counts>;

const stopReason = z.string().max(64).nullish().catch(null);
const event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message: z.object({ usage: counts }) }),
  z.object({ type: z.literal('content_block_start'), content_block: z.looseObject({ type: z.string() }) }),
  z.object({ type: z.literal('content_block_delta'), delta: z.looseObject({ type: z.string() }) }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.object({ stop_reason: stopReason }),
    usage: counts.nullish().catch(null),
  }),
]);
const message = z.object({
  usage: counts,
  stop_reason: stopReason,
  content: z.array(z.looseObject({ type: z.string() })).catch([]),
});

/**
 * Reads an answer of Anthropic's messages. What was read is known from the first event on, so that of an answer that is cut
 * only what was written is estimated. Thoughts are estimated by their text where the provider does not count them.
 */
export function createAnthropicReader(): AnswerReader {
  let started: Counts | null = null;
  let ended: Counts | null = null;
  let finishReason: string | null = null;
  let [textBytes, thoughtBytes] = [0, 0];
  const add = (part: { type: string }): void => {
    const bytes = bytesOfTexts(part, NAMES);
    textBytes += bytes;
    if (isThought(part.type)) thoughtBytes += bytes;
  };
  return {
    take(line) {
      if (!line.startsWith('data:')) return;
      const parsed = event.safeParse(jsonOrNull(line.slice('data:'.length)));
      if (!parsed.success) return;
      const { data } = parsed;
      if (data.type === 'message_start') started = data.message.usage;
      else if (data.type === 'content_block_start') add(data.content_block);
      else if (data.type === 'content_block_delta') add(data.delta);
      else {
        ended = data.usage ?? ended;
        finishReason = reasonOf(data.delta.stop_reason) ?? finishReason;
      }
    },
    isEnd: (line) => /^event: ?message_stop\s*$/.test(line) || /^data:\s*\{\s*"type"\s*:\s*"message_stop"/.test(line),
    said: () => ({
      usage: usageOf({ ...started, ...known(ended) }, estimatedTokens(textBytes), estimatedTokens(thoughtBytes), ended !== null),
      finishReason,
    }),
    textBytes: () => textBytes,
    saidBy(object): Said {
      const parsed = message.safeParse(jsonOrNull(object));
      if (!parsed.success) return { usage: null, finishReason: null };
      const { usage, stop_reason: reason, content } = parsed.data;
      const thoughts = content.filter(({ type }) => isThought(type)).reduce((sum, part) => sum + bytesOfTexts(part, NAMES), 0);
      return { usage: usageOf(usage, 0, estimatedTokens(thoughts), true), finishReason: reasonOf(reason) };
    },
  };
}

function isThought(type: string): boolean {
  return type.includes('thinking');
}

function reasonOf(reason: string | null | undefined): string | null {
  return reason == null ? null : (FINISH_REASONS[reason] ?? reason.replaceAll(/[^a-z_]/g, '').slice(0, 32));
}

/** The last event repeats only some of the counts. */
function known(of: Counts | null): Partial<Counts> {
  return Object.fromEntries(Object.entries(of ?? {}).filter(([, value]) => value != null));
}

/** Anthropic counts what came from its cache, and what went there, apart from the rest of the input. */
function usageOf(said: Partial<Counts>, came: number, thoughts: number, isWhole: boolean): Usage | null {
  const { input_tokens: input, output_tokens: output } = said;
  if (input == null || (isWhole && output == null)) return null;
  const cacheReadTokens = said.cache_read_input_tokens ?? 0;
  const cacheWriteTokens = said.cache_creation_input_tokens ?? 0;
  const inputTokens = input + cacheReadTokens + cacheWriteTokens;
  if (!tokens.safeParse(inputTokens).success) return null;
  const outputTokens = isWhole ? (output ?? 0) : Math.max(came, output ?? 0);
  const thinkingTokens = Math.min(said.output_tokens_details?.thinking_tokens ?? thoughts, outputTokens);
  return { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, thinkingTokens };
}
