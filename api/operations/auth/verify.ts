import { z } from 'zod';
import { markVerified } from '../../../database/accounts/accounts.ts';
import { revokeAllKeys } from '../../../database/accounts/api-keys.ts';
import { findLoginCodes, spendTry } from '../../../database/accounts/login-codes.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField, idField, timestamp } from '../../contract/fields.ts';
import { addressBlock } from '../../security/rate-limit.ts';

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
    code: z
      .string()
      .trim()
      .regex(/^\d{6}$/, 'Give the six-digit code from the email.'),
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

  async before({ body, em, deps, address }) {
    const requester = addressBlock(address);
    const { accountId, codeHashes = [] } = (await findLoginCodes(em, { email: body.email, requester, now: deps.clock() })) ?? {};
    // As many comparisons for every address, so that the time tells nothing of it.
    const tried = await Promise.all([0, 1].map((place) => deps.loginCodes.matches(codeHashes[place] ?? null, body.code)));
    return { accountId, codeHashes, requester, matched: codeHashes.find((_, place) => tried[place]) ?? null };
  },

  async handle({ prepared, em, deps }) {
    const { accountId, codeHashes, requester, matched } = prepared;
    const now = deps.clock();
    if (!accountId || codeHashes.length === 0) return null;
    if (!(await spendTry(em, { accountId, requester, codeHashes, matched, now }))) return null;
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
