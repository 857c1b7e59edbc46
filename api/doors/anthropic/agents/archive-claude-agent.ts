import { defineOperation } from '../../../contract/define-operation.ts';
import { agentSchema, presentAgent } from './claude-agent.schema.ts';
import { agentParams } from '../ids.ts';
import { findOwnClaudeAgent, holdOwnClaudeAgent } from './own-claude-agent.ts';

export const archiveClaudeAgent = defineOperation({
  method: 'POST',
  path: '/v1/agents/:agentId/archive',
  operationId: 'anthropic.agents.archive',
  summary: 'Archive an agent: no session is opened with it any more',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeAgents.archive',
  rateLimit: 'account',
  idempotent: true,
  params: agentParams,
  success: { status: 200, schema: agentSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnClaudeAgent(em, actor, params.agentId);
  },
  async handle({ params, actor, em, deps }) {
    const agent = await holdOwnClaudeAgent(em, actor, params.agentId);
    agent.archivedAt ??= deps.clock();
    await em.flush();
    return presentAgent(agent);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: null }),
});
