import type { ModelSettings } from '../../lib/settings/models.ts';

/** A model as MODELS gives it, with what a test says and the defaults for the rest. */
export function offeredModel(fields: Pick<ModelSettings, 'upstream'> & Partial<ModelSettings>): ModelSettings {
  return { contextWindow: 200_000, maxTokens: 8_192, aliases: [], input: ['text'], fallbacks: [], ...fields };
}
