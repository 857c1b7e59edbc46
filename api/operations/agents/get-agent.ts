import { defineOperation } from '../../contract/define-operation.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams, agentWithFiles, presentAgent } from './agent.schema.ts';
import { readFiles } from './read-files.ts';

export const getAgent = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/agents/:agentId',
  operationId: 'agents.get',
  summary: 'Get an agent and its workspace files',
  description:
    'Agents can change their files. While the instance runs, the call returns the current files of the agent; otherwise, the last known ones.',
  tag: 'agents',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: agentParams,
  success: { status: 200, schema: agentWithFiles },
  errors: [],

  async handle({ params, actor, em, deps }) {
    const agent = await findAgent(em, { accountId: actor.accountId, ...params });
    return { ...presentAgent(agent), files: Object.fromEntries(await readFiles(deps, em, agent)) };
  },
});
