import { AppError } from '../../../../domain/errors.ts';
import { defineOperation } from '../../../contract/define-operation.ts';
import { sessionParams } from '../ids.ts';
import { dropInitial } from '../events/initial-events.ts';
import { lockSession } from './lock-session.ts';
import { findOwnSession } from './own-session.ts';
import { presentSession, sessionSchema } from './session.schema.ts';

export const archiveSession = defineOperation({
  method: 'POST',
  path: '/v1/sessions/:sessionId/archive',
  operationId: 'anthropic.sessions.archive',
  summary: 'Archive a session: it takes no events any more, and its events can still be read',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'claudeSessions.archive',
  rateLimit: 'account',
  idempotent: true,
  params: sessionParams,
  success: { status: 200, schema: sessionSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findOwnSession(em, actor, params.sessionId);
  },
  async handle({ em, deps, loaded: { id } }) {
    const session = await lockSession(em, id);
    if (!session) throw new AppError('not_found', `There is no session with the id '${id}'.`);
    session.archivedAt ??= deps.clock();
    await dropInitial(em, session);
    await em.flush();
    return presentSession(em, session);
  },
  auditSubject: ({ id }) => ({ target: id, instanceId: null }),
});
