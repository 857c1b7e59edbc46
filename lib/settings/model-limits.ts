import type { Config } from './config.ts';

/** For an agent whose model the platform no longer has: the relay refuses its calls and says so. */
const UNKNOWN_MODEL = { contextWindow: 128_000, maxTokens: 8_192 };

/** How much a model of this public id takes and answers, in tokens. */
export function modelLimits({ MODELS }: Pick<Config, 'MODELS'>, id: string): { contextWindow: number; maxTokens: number } {
  const { contextWindow, maxTokens } = MODELS[id] ?? UNKNOWN_MODEL;
  return { contextWindow, maxTokens };
}
