import { z } from 'zod';
import { ClaudeAgent } from '../../../../database/entities/claude-agent.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { agentFields, agentSchema, presentAgent } from './claude-agent.schema.ts';
import { metadataField } from '../request-fields.ts';

export const createClaudeAgent = defineOperation({
  method: 'POST',
  path: '/v1/agents',
  operationId: 'anthropic.agents.create',
  summary: 'Create an agent, which lives in the environments of its sessions',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeAgents.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({ ...agentFields, metadata: metadataField.nullish() }),
  success: { status: 200, schema: agentSchema },
  errors: [],

  async handle({ body, actor, em, deps }) {
    const { name, model, system = null, description = null, tools, metadata } = body;
    const definition = { name, model, system, description, tools: tools ?? [], metadata: metadata ?? {} };
    const now = deps.clock();
    const id = deps.makeId('agent');
    const row = { id, account: actor.accountId, version: 1, definition, createdAt: now, updatedAt: now, archivedAt: null };
    const agent = em.create(ClaudeAgent, row);
    await em.flush();
    return presentAgent(agent);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: null }),
});
