import { z } from 'zod';
import { defineOperation } from '../../../contract/define-operation.ts';
import { findModelAgent } from './model-agent.ts';
import { modelSchema, presentModel } from './model.schema.ts';

export const getModel = defineOperation({
  method: 'GET',
  path: '/models/:model',
  operationId: 'openai.models.retrieve',
  summary: 'An agent as a model',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: z.object({ model: z.string().max(256) }),
  success: { status: 200, schema: modelSchema },
  errors: [],

  async handle({ params, actor, em }) {
    return presentModel(await findModelAgent(em, actor, params.model));
  },
});
