import { z } from 'zod';
import type { AnswerReader, Said, Usage } from '../usage-tap.ts';
import { jsonOrNull } from '../../lib/text/json-or-null.ts';
import { bytesOfTexts, tokens } from './texts.ts';

/** Within a text of the answer the quotes are escaped. */
const FINISH_REASON = /"finish_reason"\s*:\s*"([a-z_]{1,32})"/;
const NAMES = new Set(['role', 'type', 'id']);

/** A number that is no part of the whole says nothing. */
const part = tokens.nullish().catch(null);
const withUsage = z
  .object({
    usage: z.object({
      prompt_tokens: tokens,
      completion_tokens: tokens,
      prompt_tokens_details: z.object({ cached_tokens: part, cache_write_tokens: part }).nullish().catch(null),
      completion_tokens_details: z.object({ reasoning_tokens: part }).nullish().catch(null),
    }),
  })
  .transform(({ usage }): Usage => {
    const [inputTokens, outputTokens] = [usage.prompt_tokens, usage.completion_tokens];
    const { cached_tokens: cached, cache_write_tokens: written } = usage.prompt_tokens_details ?? {};
    const cacheReadTokens = Math.min(cached ?? 0, inputTokens);
    return {
      inputTokens,
      outputTokens,
      cacheReadTokens,
      cacheWriteTokens: Math.min(written ?? 0, inputTokens - cacheReadTokens),
      thinkingTokens: Math.min(usage.completion_tokens_details?.reasoning_tokens ?? 0, outputTokens),
    };
  });
const withDeltas = z.object({ choices: z.array(z.object({ delta: z.unknown() })) });

/** Reads an answer of OpenAI's chat completions. Of several reports the last one counts: some providers send a running total. */
export function createOpenAiReader(): AnswerReader {
  let usage: Usage | null = null;
  let finishReason: string | null = null;
  let textBytes = 0;
  return {
    take(line) {
      finishReason = finishReasonOf(line) ?? finishReason;
      if (!line.startsWith('data:')) return;
      if (line.includes('"usage"')) usage = usageOf(line.slice('data:'.length)) ?? usage;
      if (line.includes('"delta"')) textBytes += bytesOfDelta(line.slice('data:'.length));
    },
    isEnd: (line) => /^data: ?\[DONE\]\s*$/.test(line),
    said: () => ({ usage, finishReason }),
    textBytes: () => textBytes,
    saidBy: (object): Said => ({ usage: usageOf(object), finishReason: finishReasonOf(object) }),
  };
}

/** How much of an answer this event holds: text, thoughts and calls of tools, whatever the provider names them. */
function bytesOfDelta(json: string): number {
  const parsed = withDeltas.safeParse(jsonOrNull(json));
  return parsed.success ? parsed.data.choices.reduce((sum, { delta }) => sum + bytesOfTexts(delta, NAMES), 0) : 0;
}

function finishReasonOf(text: string): string | null {
  return FINISH_REASON.exec(text)?.[1] ?? null;
}

function usageOf(json: string): Usage | null {
  return withUsage.safeParse(jsonOrNull(json)).data ?? null;
}
