import { z } from 'zod';
import { endTurns } from '../../../turns/end-turns.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import { cancelledEnd } from '../../../turns/turn-end.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findAgent } from '../../find-instance.ts';
import { agentParams } from './agent.schema.ts';
import { awaitApplied } from './await-applied.ts';

export const deleteAgent = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/agents/:agentId',
  operationId: 'agents.delete',
  summary: 'Delete an agent and its workspace',
  description:
    'The running and waiting turns of the agent end as cancelled. A new agent can use the slug; it does not get the memory of the deleted agent.',
  tag: 'agents',
  auth: 'account',
  scope: 'write',
  audit: 'agents.delete',
  rateLimit: 'account',
  idempotent: true,
  params: agentParams,
  success: { status: 200, schema: z.object({ agentId: idField('agt'), deleted: z.literal(true) }) },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    await findAgent(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, actor, em, deps }) {
    const owned = { accountId: actor.accountId, ...params };
    const generation = await changeContent(em, owned);
    const agent = await findAgent(em, owned);
    agent.status = 'deleting';
    agent.deletedAt = deps.clock();
    agent.generation = generation;
    return { ...params, generation };
  },

  async after(deleted, { deps, signal }) {
    const { agentId } = deleted;
    await endTurns({ ...deps, ...turnSettings(deps.config) }, { agentId }, cancelledEnd());
    await awaitApplied(deps, deleted, signal);
    return { agentId, deleted: true as const };
  },
});
