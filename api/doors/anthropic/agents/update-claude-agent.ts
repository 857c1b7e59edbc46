import { z } from 'zod';
import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { agentFields, agentSchema, presentAgent } from './claude-agent.schema.ts';
import { agentParams } from '../ids.ts';
import { findOwnClaudeAgent, holdOwnClaudeAgent } from './own-claude-agent.ts';
import { changedPairs, metadataChanges } from '../request-fields.ts';

export const updateClaudeAgent = defineOperation({
  method: 'POST',
  path: '/v1/agents/:agentId',
  operationId: 'anthropic.agents.update',
  summary: 'Make a new version of an agent, for the sessions that are opened from now on',
  tag: 'agents',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeAgents.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: agentParams,
  body: z.object({
    ...agentFields,
    name: agentFields.name.optional(),
    model: agentFields.model.optional(),
    metadata: metadataChanges.nullish(),
    version: z.int().optional(),
  }),
  success: { status: 200, schema: agentSchema },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    return findOwnClaudeAgent(em, actor, params.agentId);
  },
  async handle({ params, body, actor, em, deps }) {
    const agent = await holdOwnClaudeAgent(em, actor, params.agentId);
    if (body.version !== undefined && body.version !== agent.version)
      throw new AppError('conflict', `The agent has the version ${agent.version} now. Get it and change that version.`);
    if (agent.archivedAt) throw new AppError('conflict', 'This agent is archived and cannot be changed.');
    const { name, model, system, description, tools, metadata } = body;
    const before = agent.definition;
    agent.definition = {
      name: name ?? before.name,
      model: model ?? before.model,
      system: system === undefined ? before.system : system,
      description: description === undefined ? before.description : description,
      tools: tools === undefined ? before.tools : (tools ?? []),
      metadata: changedPairs(before.metadata, metadata),
    };
    agent.version += 1;
    agent.updatedAt = deps.clock();
    await em.flush();
    return presentAgent(agent);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: null }),
});
