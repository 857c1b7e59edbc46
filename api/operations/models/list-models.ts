import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';

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
          contextWindow: z.int().meta({ description: 'The size of the context window in tokens.' }),
          maxTokens: z.int().meta({ description: 'The maximum length of a reply in tokens.' }),
          isDefault: z.boolean().meta({ description: 'Whether new agents use this model when none is given.' }),
        }),
      ),
    }),
  },
  errors: [],

  async handle({ deps }) {
    const models = Object.entries(deps.config.MODELS);
    return {
      models: models.map(([id, { contextWindow, maxTokens }], index) => ({
        id,
        contextWindow,
        maxTokens,
        isDefault: index === 0,
      })),
    };
  },
});
