import { z } from 'zod';
import { fromJson } from './from-json.ts';
import type { ProviderKind } from './providers.ts';

const modelName = z.string().min(1).max(256);
const price = z
  .union([z.string(), z.number().transform(String)])
  .pipe(z.string().regex(/^\d{1,6}(\.\d{1,9})?$/, 'must be US dollars for a million tokens, such as "2.50"'));

const modelSchema = z.strictObject({
  /** Its name at the provider. */
  upstream: modelName,
  /** Without it, the provider `default`. */
  provider: z.string().optional(),
  /** Other names that a new agent may give for it. */
  aliases: z.array(modelName).max(16).default([]),
  contextWindow: z.number().int().min(1024),
  maxTokens: z.number().int().min(1),
  input: z
    .array(z.enum(['text', 'image']))
    .min(1)
    .refine((kinds) => kinds.includes('text'), 'must include text')
    .default(['text']),
  /** Asked in this order when the provider does not answer. */
  fallbacks: z
    .array(z.strictObject({ provider: z.string(), upstream: modelName }))
    .max(4)
    .default([]),
  priceUsdPerMillion: z.strictObject({ input: price, output: price, cacheRead: price, cacheWrite: price }).partial().optional(),
  /** Offered to these accounts alone. */
  accounts: z.array(z.string().regex(/^acc_/, 'must be ids of accounts, such as acc_...')).min(1).max(1_000).optional(),
});

export type ModelSettings = z.infer<typeof modelSchema>;

const plain = (id: string, contextWindow: number): z.input<typeof modelSchema> => ({
  upstream: id,
  contextWindow,
  maxTokens: 8_192,
});

/** The two models of the API reference. */
export const DEFAULT_MODELS = {
  'moonshotai.kimi-k2.5': plain('moonshotai.kimi-k2.5', 256_000),
  'anthropic.claude-sonnet-4-20250514-v1:0': plain('anthropic.claude-sonnet-4-20250514-v1:0', 200_000),
};

/** The setting MODELS: what agents may have, by public id. The first one is the default. */
export const modelsSetting = fromJson(z.record(z.string().min(1), modelSchema))
  .refine((models) => Object.keys(models).length > 0, 'must name at least one model')
  .superRefine((models, context) => {
    const taken = new Set(Object.keys(models));
    for (const [id, { aliases }] of Object.entries(models))
      for (const alias of aliases) {
        if (taken.has(alias)) context.addIssue({ code: 'custom', path: [id, 'aliases'], message: `"${alias}" names two models` });
        taken.add(alias);
      }
  });

export type Models = Readonly<Record<string, ModelSettings>>;

/** The models that this account may use, in their order. */
export function offersTo(models: Models, accountId: string): Models {
  return Object.fromEntries(Object.entries(models).filter(([, { accounts }]) => accounts?.includes(accountId) ?? true));
}

/** The public id of the model that is called by this id or alias; undefined when there is none. */
export function modelNamed(models: Models, given: string): string | undefined {
  if (Object.hasOwn(models, given)) return given;
  return Object.entries(models).find(([, { aliases }]) => aliases.includes(given))?.[0];
}

/** How a gateway speaks to the relay, in the words of its configuration. */
export type WireName = 'openai-completions' | 'anthropic-messages';

type Kinds = Readonly<Record<string, { kind: ProviderKind }>>;

/** One provider that may answer for a model, and the model's name there. */
export interface Target {
  provider: string;
  upstream: string;
}

/** The provider that MODELS means where it names none. */
export const DEFAULT_PROVIDER = 'default';

/** Who is asked for this model, in this order. */
export function targetsOf({ provider = DEFAULT_PROVIDER, upstream, fallbacks }: ModelSettings): readonly [Target, ...Target[]] {
  return [{ provider, upstream }, ...fallbacks];
}

/**
 * The wire that this model of this provider is called with. Bedrock takes bodies of Anthropic's messages for Anthropic's
 * models. A provider that is not among PROVIDERS is the one of MODEL_UPSTREAM_URL, or the echo model.
 */
export function wireOf({ provider, upstream }: Target, providers: Kinds): WireName {
  const kind = providers[provider]?.kind ?? 'openai';
  if (kind === 'openai') return 'openai-completions';
  return kind === 'anthropic' || isAnthropicModel(upstream) ? 'anthropic-messages' : 'openai-completions';
}

/** Whether this id of Bedrock (of a model, an inference profile or an ARN of one) is of a model of Anthropic. */
export function isAnthropicModel(upstream: string): boolean {
  return /(^|[./])anthropic\./.test(upstream);
}

/** A sentence for each model that cannot be called with these providers. */
export function modelProblems(models: Models, providers: Kinds, hasDefault: boolean): string[] {
  const named = Object.keys(providers).join(', ') || 'none is set';
  return Object.entries(models).flatMap(([id, model]) => {
    const [first, ...fallbacks] = targetsOf(model);
    const isKnown = (name: string) => Object.hasOwn(providers, name) || (name === DEFAULT_PROVIDER && hasDefault);
    if (!isKnown(first.provider)) {
      const change =
        model.provider === undefined ? 'set its provider to' : `its provider "${first.provider}" is not one of PROVIDERS; use`;
      return [`${id}: ${change} one of: ${named}`];
    }
    return fallbacks.flatMap((target, index) => {
      if (!isKnown(target.provider)) return [`${id}.fallbacks.${index}: "${target.provider}" is not one of PROVIDERS: ${named}`];
      if (wireOf(target, providers) === wireOf(first, providers)) return [];
      return [
        `${id}.fallbacks.${index}: is called by ${wireOf(target, providers)}, and the model by ${wireOf(first, providers)}; ` +
          'a fall-back must be called in the same way as its model',
      ];
    });
  });
}
