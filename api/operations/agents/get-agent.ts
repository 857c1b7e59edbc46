import { defineOperation } from '../../define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams, agentWithFiles, presentAgent } from './agent.schema.ts';
import { findFiles } from './workspace.ts';

export const getAgent = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId',
  operationId: 'agents.get',
  summary: 'Get an agent and its workspace files',
  tag: 'agents',
  auth: 'account',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  success: { status: 200, schema: agentWithFiles },
  errors: [],

  async handle({ params, actor, em }) {
    const agent = await findAgent(em, { accountId: actor.accountId, ...params });
    return { ...presentAgent(agent), files: Object.fromEntries(await findFiles(em, agent.id)) };
  },
});
