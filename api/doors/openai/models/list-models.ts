import { z } from 'zod';
import { listAgentEntries } from '../../../../database/content/find-agent-place.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { modelSchema, presentModel } from './model.schema.ts';

/** OpenAI's list has no pages. */
const MAX_MODELS = 1_000;

export const listModels = defineOperation({
  method: 'GET',
  path: '/models',
  operationId: 'openai.models.list',
  summary: 'The agents of the account as models, the newest 1,000',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: { status: 200, schema: z.object({ object: z.literal('list'), data: z.array(modelSchema) }) },
  errors: [],

  async handle({ actor, em }) {
    const { accountId, limits } = actor;
    const found = await listAgentEntries(em, { accountId, instanceId: limits.instanceId, limit: MAX_MODELS });
    return { object: 'list' as const, data: found.map(presentModel) };
  },
});
