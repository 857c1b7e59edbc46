import { z } from 'zod';
import { revokeTokens } from '../../../database/accounts/token-version.ts';
import { defineOperation } from '../../contract/define-operation.ts';

export const logout = defineOperation({
  method: 'POST',
  path: '/auth/logout',
  operationId: 'auth.logout',
  summary: 'Revoke all tokens of your account',
  description: 'The API rejects every token of the account from this moment on. API keys remain valid.',
  tag: 'auth',
  auth: 'account',
  scope: 'keys',
  audit: 'auth.logout',
  rateLimit: 'account',
  idempotent: true,
  success: { status: 200, schema: z.object({ message: z.literal('Logged out') }) },
  errors: [],

  async handle({ actor, em }) {
    await revokeTokens(em, actor.accountId);
    return { message: 'Logged out' as const };
  },
});
