import type { ModelSettings } from '../../lib/settings/models.ts';
import type { ChatRequest } from '../chat-request.ts';
import { withinLimit } from './within-limit.ts';

/**
 * What of a model call reaches the provider. Any other field is left out: providers and their proxies know fields that
 * choose another model, another address for the request and its key, or several answers for one.
 */
const PASSED = [
  'stream',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'response_format',
  'reasoning_effort',
  'verbosity',
  'temperature',
  'top_p',
  'frequency_penalty',
  'presence_penalty',
  'stop',
  'seed',
] as const;

/** How providers name the most tokens that an answer may have. */
const TOKEN_LIMITS = ['max_tokens', 'max_completion_tokens'] as const;

/**
 * The call as a provider gets it: with known fields alone, and no answer longer than is offered, also when the caller did not
 * say how long it may be.
 */
export function openAiFields(chat: ChatRequest, { maxTokens }: Pick<ModelSettings, 'maxTokens'>): ChatRequest {
  const allowed: Record<string, unknown> = {};
  for (const name of PASSED) if (chat[name] !== undefined) allowed[name] = chat[name];
  for (const name of TOKEN_LIMITS) if (chat[name] !== undefined) allowed[name] = withinLimit(chat[name], maxTokens);
  if (!TOKEN_LIMITS.some((name) => name in allowed)) allowed['max_tokens'] = maxTokens;
  return { ...allowed, model: chat.model, messages: chat.messages };
}

/** The most tokens that the provider answers this call with. */
export function openAiTokenLimit(allowed: ChatRequest): number {
  return Math.max(...TOKEN_LIMITS.map((name) => Number(allowed[name] ?? 0)));
}
