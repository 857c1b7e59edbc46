import type { ContentBlockDelta, ConverseStreamOutput, StopReason, TokenUsage } from '@aws-sdk/client-bedrock-runtime';
import { CONTENT_FILTER } from '../../../domain/turn.ts';

interface ToolCallDelta {
  index: number;
  id?: string;
  type?: 'function';
  function: { name?: string; arguments?: string };
}

interface Delta {
  role?: 'assistant';
  content?: string;
  reasoning_content?: string;
  tool_calls?: ToolCallDelta[];
}

/** What one event of Converse is as a chat completion chunk, without what all chunks have in common. */
export interface Chunk {
  choices: { index: 0; delta: Delta; finish_reason: string | null }[];
  usage?: object;
}

const FINISH_REASONS: Partial<Record<StopReason, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  tool_use: 'tool_calls',
  malformed_tool_use: 'tool_calls',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  content_filtered: CONTENT_FILTER,
  guardrail_intervened: CONTENT_FILTER,
};

/** Makes chunks of the events of one answer, in their order. Converse numbers blocks of all kinds; chunks number calls of tools. */
export function createChunkMaker(): (event: ConverseStreamOutput) => Chunk[] {
  const calls = new Map<number, number>();
  return (event) => {
    if (event.messageStart) return [chunk({ role: 'assistant', content: '' })];
    if (event.contentBlockStart) {
      const { start, contentBlockIndex = 0 } = event.contentBlockStart;
      if (!start?.toolUse) return [];
      const index = calls.size;
      calls.set(contentBlockIndex, index);
      const { toolUseId = '', name = '' } = start.toolUse;
      return [chunk({ tool_calls: [{ index, id: toolUseId, type: 'function', function: { name, arguments: '' } }] })];
    }
    if (event.contentBlockDelta) {
      const { delta, contentBlockIndex = 0 } = event.contentBlockDelta;
      const made = delta ? deltaOf(delta, calls.get(contentBlockIndex) ?? 0) : null;
      return made ? [chunk(made)] : [];
    }
    if (event.messageStop) return [chunk({}, FINISH_REASONS[event.messageStop.stopReason ?? 'end_turn'] ?? 'stop')];
    if (event.metadata?.usage) return [{ choices: [], usage: usageOf(event.metadata.usage) }];
    return [];
  };
}

function chunk(delta: Delta, finishReason: string | null = null): Chunk {
  return { choices: [{ index: 0, delta, finish_reason: finishReason }] };
}

function deltaOf(delta: ContentBlockDelta, index: number): Delta | null {
  if (delta.text !== undefined) return { content: delta.text };
  if (delta.reasoningContent?.text !== undefined) return { reasoning_content: delta.reasoningContent.text };
  if (delta.toolUse?.input !== undefined) return { tool_calls: [{ index, function: { arguments: delta.toolUse.input } }] };
  return null;
}

/** Converse counts what came from its cache, and what went there, apart from the rest of the input. */
function usageOf({ inputTokens = 0, outputTokens = 0, cacheReadInputTokens = 0, cacheWriteInputTokens = 0 }: TokenUsage): object {
  const read = inputTokens + cacheReadInputTokens + cacheWriteInputTokens;
  return {
    prompt_tokens: read,
    completion_tokens: outputTokens,
    total_tokens: read + outputTokens,
    prompt_tokens_details: { cached_tokens: cacheReadInputTokens, cache_write_tokens: cacheWriteInputTokens },
  };
}
