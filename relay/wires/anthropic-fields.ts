import { z } from 'zod';
import type { ModelSettings } from '../../lib/settings/models.ts';
import type { ChatRequest } from '../chat-request.ts';
import { withinLimit } from './within-limit.ts';

/** What of a model call reaches the provider, beside its messages, its limits and its tools. Anything else is left out. */
const PASSED = ['stream', 'system', 'tool_choice', 'temperature', 'top_p', 'top_k', 'stop_sequences', 'cache_control'] as const;

/** The least that a model may be told to think. */
const MIN_THINKING_TOKENS = 1_024;

/**
 * Tools that the agent carries out itself. The others of Anthropic's run at the provider: they fetch addresses or run code
 * there, and the provider charges for them separately.
 */
const ownTool = z.looseObject({ type: z.literal('custom').optional(), name: z.string() });
const budget = z.looseObject({ type: z.literal('enabled'), budget_tokens: z.number().int() });
const unbudgeted = z.looseObject({ type: z.enum(['disabled', 'adaptive']) });
const effort = z.object({ effort: z.string().max(32) });

/**
 * The call as a provider gets it: with known fields and tools alone, no answer longer than is offered, and no more thought
 * than the answer has room for.
 */
export function anthropicFields(chat: ChatRequest, { maxTokens }: Pick<ModelSettings, 'maxTokens'>): ChatRequest {
  const allowed: Record<string, unknown> = {};
  for (const name of PASSED) if (chat[name] !== undefined) allowed[name] = chat[name];
  const limit = withinLimit(chat['max_tokens'], maxTokens);
  const thinking = thinkingWithin(limit, chat['thinking']);
  const tools = Array.isArray(chat['tools']) ? chat['tools'].filter((tool) => ownTool.safeParse(tool).success) : [];
  const outputConfig = effort.safeParse(chat['output_config']).data;
  if (tools.length === 0) delete allowed['tool_choice'];
  return {
    ...allowed,
    ...(tools.length === 0 ? {} : { tools }),
    ...(thinking === null ? {} : { thinking }),
    ...(outputConfig ? { output_config: outputConfig } : {}),
    max_tokens: limit,
    model: chat.model,
    messages: chat.messages,
  };
}

/** The most tokens that the provider answers this call with, its thoughts included. */
export function anthropicTokenLimit(allowed: ChatRequest): number {
  return Number(allowed['max_tokens']);
}

/** The provider refuses thoughts that may be as long as the whole answer. */
function thinkingWithin(limit: number, asked: unknown): object | null {
  const plain = unbudgeted.safeParse(asked);
  if (plain.success) return plain.data;
  const parsed = budget.safeParse(asked);
  if (!parsed.success || limit <= MIN_THINKING_TOKENS) return null;
  return { ...parsed.data, budget_tokens: Math.max(MIN_THINKING_TOKENS, Math.min(parsed.data.budget_tokens, limit - 1)) };
}
