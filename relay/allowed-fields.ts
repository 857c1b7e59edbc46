import type { Config } from '../lib/settings/config.ts';
import type { ChatRequest } from './chat-request.ts';

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
 * The call as the provider gets it: of this model, with known fields alone, and no answer longer than is offered, also
 * when the caller did not say how long it may be.
 */
export function allowedFields(
  chat: ChatRequest,
  { upstream, maxTokens }: Pick<Config['MODELS'][string], 'upstream' | 'maxTokens'>,
): ChatRequest {
  const allowed: Record<string, unknown> = {};
  for (const name of PASSED) if (chat[name] !== undefined) allowed[name] = chat[name];
  for (const name of TOKEN_LIMITS) if (chat[name] !== undefined) allowed[name] = withinLimit(chat[name], maxTokens);
  if (!TOKEN_LIMITS.some((name) => name in allowed)) allowed['max_tokens'] = maxTokens;
  return { ...allowed, model: upstream, messages: chat.messages };
}

/** The most tokens that the provider answers this call with. */
export function tokenLimitOf(allowed: ChatRequest): number {
  return Math.max(...TOKEN_LIMITS.map((name) => Number(allowed[name] ?? 0)));
}

/** What is no number of tokens is the limit: it is not the caller who decides. */
function withinLimit(asked: unknown, maxTokens: number): number {
  return typeof asked === 'number' && asked >= 1 ? Math.min(Math.floor(asked), maxTokens) : maxTokens;
}
