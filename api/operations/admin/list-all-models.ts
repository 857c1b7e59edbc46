import { z } from 'zod';
import { listTroubles } from '../../../database/models/list-troubles.ts';
import { targetsOf, wireOf } from '../../../lib/settings/models.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { timestamp } from '../../contract/fields.ts';
import { modelState, presentPrices, pricesSchema, stateOf, troubleOf } from '../models/model.schema.ts';

export const listAllModels = defineOperation({
  method: 'GET',
  path: '/admin/models',
  operationId: 'models.listAll',
  summary: 'List the models of all accounts with the providers behind them',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  success: {
    status: 200,
    schema: z.object({
      models: z.array(
        z.object({
          id: z.string(),
          wire: z
            .enum(['openai-completions', 'anthropic-messages'])
            .meta({ description: 'The protocol with which gateways call the model.' }),
          priceUsdPerMillion: pricesSchema.nullable(),
          accounts: z
            .array(z.string())
            .nullable()
            .meta({ description: 'The accounts that may use the model; `null` for all accounts.' }),
          providers: z
            .array(
              z.object({
                provider: z.string(),
                kind: z.enum(['openai', 'anthropic', 'bedrock']).nullable().meta({
                  description: '`null` for the provider of `MODEL_UPSTREAM_URL` and for the built-in echo model.',
                }),
                upstream: z.string().meta({ description: 'The name of the model at the provider.' }),
                state: modelState,
                reason: z.string().nullable().meta({
                  description:
                    'Why the provider is asked last: `unreachable`, `slow`, `limited`, `overloaded`, `failing`, or `refused` when it rejects our account or settings.',
                }),
                since: timestamp.nullable(),
                retryAt: timestamp.nullable().meta({ description: 'When the provider is tried first again.' }),
              }),
            )
            .meta({ description: 'The provider of the model, then its fall-backs, in the order in which they are asked.' }),
        }),
      ),
    }),
  },
  errors: [],

  async handle({ em, deps }) {
    const troubles = await listTroubles(em);
    const { MODELS, PROVIDERS } = deps.config;
    return {
      models: Object.entries(MODELS).map(([id, model]) => ({
        id,
        wire: wireOf(targetsOf(model)[0], PROVIDERS),
        priceUsdPerMillion: presentPrices(model),
        accounts: model.accounts ?? null,
        providers: targetsOf(model).map((target) => {
          const trouble = troubleOf(troubles, target);
          return {
            ...target,
            kind: PROVIDERS[target.provider]?.kind ?? null,
            state: stateOf(trouble),
            reason: trouble?.reason ?? null,
            since: trouble?.since.toISOString() ?? null,
            retryAt: trouble?.until.toISOString() ?? null,
          };
        }),
      })),
    };
  },
});
