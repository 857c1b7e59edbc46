import { z } from 'zod';
import { ClaudeSession } from '../../../database/entities/claude-session.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';
import { instanceOfEnvironment } from './ids.ts';
import { holdOwnClaudeAgent } from './own-claude-agent.ts';
import { findOwnEnvironment } from './own-environment.ts';
import { placeAgent } from './place-agent.ts';
import { metadataField, unsupported } from './request-fields.ts';
import { presentSession, sessionSchema } from './session.schema.ts';

const NOT_OVERRIDDEN =
  'Give the id of an agent, or {"type": "agent", "id", "version"}. An agent cannot be changed for one session.';

const agentField = z.union(
  [
    z
      .string()
      .max(128)
      .transform((id) => ({ id, version: undefined })),
    z.object({ type: z.literal('agent').optional(), id: z.string().max(128), version: z.int().nullish() }),
  ],
  NOT_OVERRIDDEN,
);

export const createSession = defineOperation({
  method: 'POST',
  path: '/v1/sessions',
  operationId: 'anthropic.sessions.create',
  summary: 'Open a session of an agent in an environment',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeSessions.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({
    agent: agentField,
    environment_id: z.string().max(128),
    title: z.string().max(512).nullish(),
    metadata: metadataField.nullish(),
    resources: unsupported('Resources'),
    vault_ids: unsupported('Vaults'),
    initial_events: unsupported('Initial events'),
    budget: unsupported('Budgets of a session'),
  }),
  success: { status: 200, schema: sessionSchema },
  errors: ['not_found', 'conflict'],

  async handle({ body, actor, em, deps }) {
    const { agent: asked, environment_id: environment, title = null, metadata } = body;
    const instance = await findOwnEnvironment(em, actor, environment);
    const claudeAgent = await holdOwnClaudeAgent(em, actor, asked.id);
    const { id, version, definition } = claudeAgent;
    if (claudeAgent.archivedAt) throw invalidRequest([{ path: 'agent', message: 'This agent is archived. Give another one.' }]);
    if (asked.version != null && asked.version !== version)
      throw invalidRequest([{ path: 'agent.version', message: `Sessions are opened with the newest version, ${version}.` }]);
    const agentId = await placeAgent(em, deps, claudeAgent, instance.id);
    const now = deps.clock();
    const session = em.create(ClaudeSession, {
      ...{ id: deps.makeId('sesn'), account: actor.accountId, instance: instance.id, agent: agentId },
      fields: { title, metadata: metadata ?? {}, agent: { ...definition, id, version } },
      ...{ createdAt: now, updatedAt: now },
    });
    await em.flush();
    return presentSession(session, undefined);
  },
  auditSubject: ({ id, environment_id: environment }) => ({ target: id, instanceId: instanceOfEnvironment(environment) }),
});
