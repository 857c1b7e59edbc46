import { z } from 'zod';
import { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { hasMoney } from '../../../../database/billing/find-balance.ts';
import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { EVENTS_BODY_LIMIT_BYTES, initialEventsField } from '../events/event-request.ts';
import { instanceOfEnvironment } from '../ids.ts';
import { deliverInitial } from '../events/initial-events.ts';
import { holdOwnClaudeAgent } from '../agents/own-claude-agent.ts';
import { findOwnEnvironment, requireNotArchived } from '../environments/own-environment.ts';
import { placeAgent } from '../agents/place-agent.ts';
import { metadataField, titleField, unsupported } from '../request-fields.ts';
import { addSessionBudget, budgetField } from './session-budget.ts';
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
  bodyLimitBytes: EVENTS_BODY_LIMIT_BYTES,
  body: z.object({
    agent: agentField,
    environment_id: z.string().max(128),
    title: titleField,
    metadata: metadataField.nullish(),
    resources: unsupported('Resources'),
    vault_ids: unsupported('Vaults'),
    initial_events: initialEventsField,
    budget: budgetField.nullish(),
  }),
  success: { status: 200, schema: sessionSchema },
  errors: ['not_found', 'conflict', 'payment_required'],

  async handle({ body, actor, em, deps }) {
    const { agent: asked, environment_id: environment, title = null, metadata, budget, initial_events: initial } = body;
    const instance = await findOwnEnvironment(em, actor, environment);
    await requireNotArchived(em, instance);
    if (initial.length > 0 && !(await hasMoney(em, actor.accountId)))
      throw new AppError('payment_required', 'The balance of the account is used up. Add credit, then create the session again.');
    const claudeAgent = await holdOwnClaudeAgent(em, actor, asked.id);
    const { id, version, definition } = claudeAgent;
    if (claudeAgent.archivedAt) throw invalidRequest([{ path: 'agent', message: 'This agent is archived. Give another one.' }]);
    if (asked.version != null && asked.version !== version)
      throw new AppError('conflict', `The agent has the version ${version} now, and sessions are opened with the newest one.`);
    const agentId = await placeAgent(em, deps, claudeAgent, instance.id);
    const now = deps.clock();
    const sessionId = deps.makeId('sesn');
    const budgeted = budget == null ? null : { accountId: actor.accountId, sessionId, limitNanoUsd: budget };
    const session = em.create(ClaudeSession, {
      ...{ id: sessionId, account: actor.accountId, instance: instance.id, agent: agentId },
      fields: {
        ...{ title, metadata: metadata ?? {}, agent: { ...definition, id, version } },
        ...(budgeted && { budgetId: await addSessionBudget(em, deps, budgeted) }),
        ...(initial.length > 0 && { initial: { texts: initial, keyId: actor.keyId } }),
      },
      ...{ createdAt: now, updatedAt: now, initialDueAt: initial.length > 0 ? now : null },
    });
    await em.flush();
    return presentSession(em, session);
  },
  auditSubject: ({ id, environment_id: environment }) => ({ target: id, instanceId: instanceOfEnvironment(environment) }),

  async after(session, { body, deps, log }) {
    if (body.initial_events.length > 0) deps.background.run('initial-events', log, () => deliverInitial(deps, session.id));
    return session;
  },
});
