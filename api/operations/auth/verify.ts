import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField, idField, loginCodeField, timestamp } from '../../contract/fields.ts';
import { checkLoginCode, proveLogin, refusedCode } from '../../security/prove-login.ts';

export const verify = defineOperation({
  method: 'POST',
  path: '/auth/verify',
  operationId: 'auth.verify',
  summary: 'Exchange a one-time code for a token',
  tag: 'auth',
  auth: 'public',
  audit: 'auth.verify',
  rateLimit: 'auth',
  idempotent: false,
  body: z.object({
    email: emailField,
    code: loginCodeField,
  }),
  success: {
    status: 200,
    schema: z.object({
      accountId: idField('acc'),
      token: z.string(),
      expiresAt: timestamp,
      revoked: z.int().optional().meta({
        description:
          'The number of revoked credentials: every API key, plus one for all earlier tokens. Present only when a second registration used this email address before it was verified.',
      }),
    }),
    credential: true,
  },
  errors: ['unauthorized'],

  before: ({ body: { email, code }, em, deps, address }) => checkLoginCode(em, deps, { account: { email }, code, address }),
  handle: ({ prepared, em, deps }) => proveLogin(em, deps, prepared),
  auditSubject: (login) => login && { accountId: login.accountId, target: login.accountId },

  // A wrong code has cost a try, which had to be stored, so the refusal comes after the commit.
  async after(login) {
    if (!login) throw refusedCode();
    return login;
  },
});
