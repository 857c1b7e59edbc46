import { defineOperation } from '../../../contract/define-operation.ts';
import { sessionParams } from '../ids.ts';
import { findOwnSession } from './own-session.ts';
import { presentSession, sessionSchema } from './session.schema.ts';

export const getSession = defineOperation({
  method: 'GET',
  path: '/v1/sessions/:sessionId',
  operationId: 'anthropic.sessions.retrieve',
  summary: 'Get a session',
  tag: 'messages',
  auth: 'account',
  scope: 'messages',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: sessionParams,
  success: { status: 200, schema: sessionSchema },
  errors: [],

  async handle({ params, actor, em }) {
    return presentSession(em, await findOwnSession(em, actor, params.sessionId));
  },
});
