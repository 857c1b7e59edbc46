import { defineOperation } from '../../../contract/define-operation.ts';
import { agentSchema, presentAgent } from './claude-agent.schema.ts';
import { agentParams } from '../ids.ts';
import { findOwnClaudeAgent } from './own-claude-agent.ts';

export const getClaudeAgent = defineOperation({
  method: 'GET',
  path: '/v1/agents/:agentId',
  operationId: 'anthropic.agents.retrieve',
  summary: 'Get an agent',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  success: { status: 200, schema: agentSchema },
  errors: [],

  async handle({ params, actor, em }) {
    return presentAgent(await findOwnClaudeAgent(em, actor, params.agentId));
  },
});
