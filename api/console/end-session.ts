import { z } from 'zod';
import { revokeTokens } from '../../database/accounts/token-version.ts';
import { defineOperation } from '../contract/define-operation.ts';
import { CookieAnswer } from '../http/cookie-answer.ts';
import { forgottenCookie } from './session-cookie.ts';

/** Ends every session and token of the account, wherever they are, as `POST /v1/auth/logout` does. */
export const endSession = defineOperation({
  method: 'DELETE',
  path: '/session',
  operationId: 'console.session.delete',
  summary: 'Sign out of the console everywhere',
  tag: 'auth',
  auth: 'account',
  scope: 'keys',
  audit: 'auth.logout',
  rateLimit: 'account',
  idempotent: false,
  success: { status: 200, schema: z.object({ message: z.literal('Logged out') }) },
  errors: [],

  async handle({ actor, em }) {
    await revokeTokens(em, actor.accountId);
    return null;
  },
  async after(_nothing, { headers }) {
    return new CookieAnswer({ message: 'Logged out' }, forgottenCookie(headers));
  },
});
