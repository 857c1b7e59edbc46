import { createHash } from 'node:crypto';
import type { Config } from './config.ts';
import { targetsOf, wireOf } from './models.ts';
import type { WireName } from './models.ts';

export interface ModelOffer {
  /** In tokens, as maxTokens is. */
  contextWindow: number;
  maxTokens: number;
  /** What it reads. */
  input: readonly ('text' | 'image')[];
  /** How a gateway calls it. */
  wire: WireName;
}

/** For an agent whose model the platform no longer has: the relay refuses its calls and says so. */
const UNKNOWN_MODEL: ModelOffer = { contextWindow: 128_000, maxTokens: 8_192, input: ['text'], wire: 'openai-completions' };

/** What a gateway must know of the model of this public id. */
export function modelOffer({ MODELS, PROVIDERS }: Pick<Config, 'MODELS' | 'PROVIDERS'>, id: string): ModelOffer {
  const model = MODELS[id];
  if (!model) return UNKNOWN_MODEL;
  const { contextWindow, maxTokens, input } = model;
  return { contextWindow, maxTokens, input, wire: wireOf(targetsOf(model)[0], PROVIDERS) };
}

/** Changes when a gateway must know something else of a model than before. */
export function offersDigest(config: Pick<Config, 'MODELS' | 'PROVIDERS'>): string {
  const offers = Object.keys(config.MODELS)
    .toSorted()
    .map((id) => [id, modelOffer(config, id)]);
  return createHash('sha256').update(JSON.stringify(offers)).digest('hex');
}
