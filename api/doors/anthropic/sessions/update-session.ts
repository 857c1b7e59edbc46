import { z } from 'zod';
import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { sessionParams } from '../ids.ts';
import { lockSession } from './lock-session.ts';
import { findOwnSession } from './own-session.ts';
import { changedPairs, metadataChanges, titleField, unsupported } from '../request-fields.ts';
import { budgetField, changeSessionBudget } from './session-budget.ts';
import { presentSession, sessionSchema } from './session.schema.ts';

export const updateSession = defineOperation({
  method: 'POST',
  path: '/v1/sessions/:sessionId',
  operationId: 'anthropic.sessions.update',
  summary: 'Change the title, the metadata or the budget of a session',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeSessions.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: sessionParams,
  body: z.object({
    title: titleField,
    metadata: metadataChanges.nullish(),
    budget: budgetField.nullable().optional(),
    agent: unsupported('Changes of the agent of a session'),
    vault_ids: unsupported('Vaults'),
  }),
  success: { status: 200, schema: sessionSchema },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async handle({ body, em, deps, loaded: { id } }) {
    const session = await lockSession(em, id);
    if (!session) throw new AppError('not_found', `There is no session with the id '${id}'.`);
    if (session.archivedAt) throw new AppError('conflict', 'This session is archived and cannot be changed.');
    const { title, metadata, budget } = body;
    const { fields } = session;
    session.fields = {
      ...fields,
      title: title === undefined ? fields.title : title,
      metadata: changedPairs(fields.metadata, metadata),
    };
    session.updatedAt = deps.clock();
    await em.flush();
    if (budget !== undefined) await changeSessionBudget(em, session, budget, deps.clock());
    return presentSession(em, session);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: null }),
});
