import { z } from 'zod';
import { listTroubles } from '../../../database/models/list-troubles.ts';
import { offersTo, targetsOf } from '../../../lib/settings/models.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { modelState, presentPrices, pricesSchema, stateOf, troubleOf } from './model.schema.ts';

export const listModels = defineOperation({
  method: 'GET',
  path: '/models',
  operationId: 'models.list',
  summary: 'List the available models',
  tag: 'agents',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: {
    status: 200,
    schema: z.object({
      models: z.array(
        z.object({
          id: z.string(),
          aliases: z.array(z.string()).meta({ description: 'Other names that a new agent may give for the model.' }),
          contextWindow: z.int().meta({ description: 'The size of the context window in tokens.' }),
          maxTokens: z.int().meta({ description: 'The maximum length of a reply in tokens.' }),
          input: z.array(z.enum(['text', 'image'])).meta({ description: 'The types of input that the model accepts.' }),
          priceUsdPerMillion: pricesSchema
            .nullable()
            .meta({ description: 'The prices in USD per million tokens; `null` when the model has no prices.' }),
          state: modelState.meta({
            description: '`degraded` while the provider of the model fails: replies may be late, or come from another provider.',
          }),
          isDefault: z.boolean().meta({ description: 'Whether new agents use this model when none is given.' }),
        }),
      ),
    }),
  },
  errors: [],

  async handle({ actor, em, deps }) {
    const troubles = await listTroubles(em);
    const models = offersTo(deps.config.MODELS, actor.accountId);
    return {
      models: Object.entries(models).map(([id, model], index) => ({
        id,
        aliases: model.aliases,
        contextWindow: model.contextWindow,
        maxTokens: model.maxTokens,
        input: model.input,
        priceUsdPerMillion: presentPrices(model),
        state: stateOf(troubleOf(troubles, targetsOf(model)[0])),
        isDefault: index === 0,
      })),
    };
  },
});
