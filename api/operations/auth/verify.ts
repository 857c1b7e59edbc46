import { z } from 'zod';
import { markVerified } from '../../../database/accounts/accounts.ts';
import { revokeAllKeys } from '../../../database/accounts/api-keys.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField, idField, loginCodeField, timestamp } from '../../contract/fields.ts';
import { attemptLogin, spendAttempt } from '../../security/login-attempt.ts';

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
  body: z.object({ email: emailField, code: loginCodeField }),
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

  before: ({ body, em, deps, address }) => attemptLogin(em, deps, { account: { email: body.email }, code: body.code, address }),

  async handle({ prepared, em, deps }) {
    const now = deps.clock();
    const accountId = await spendAttempt(em, prepared, now);
    if (accountId === null) return null;
    const { tokenVersion, wasContested } = await markVerified(em, accountId, now);
    const revoked = wasContested ? (await revokeAllKeys(em, accountId, now)) + 1 : undefined;
    return { accountId, ...deps.tokens.issue({ accountId, tokenVersion }), revoked };
  },
  auditSubject: (login) => login && { accountId: login.accountId, target: login.accountId },

  // A wrong code has cost a try, which had to be stored, so the refusal comes after the commit.
  async after(login) {
    if (!login)
      throw new AppError(
        'unauthorized',
        'This code is wrong, expired or already used. Request a new code with POST /auth/login.',
      );
    return login;
  },
});
