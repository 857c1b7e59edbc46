import { z } from 'zod';
import { countInviteUse, lockInvite } from '../../../database/accounts/invites.ts';
import { insertAccount, markRegistrationContested } from '../../../database/accounts/accounts.ts';
import { transfer } from '../../../database/billing/transfer.ts';
import { AppError } from '../../../domain/errors.ts';
import { parseUsd } from '../../../domain/money/money.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField, idField, nameField, timestamp } from '../../contract/fields.ts';

export const register = defineOperation({
  method: 'POST',
  path: '/auth/register',
  operationId: 'auth.register',
  summary: 'Create an account with an invite code',
  tag: 'auth',
  auth: 'public',
  audit: 'auth.register',
  rateLimit: 'auth',
  idempotent: false,
  body: z.object({ name: nameField, email: emailField, inviteCode: z.string().trim().min(1).max(128) }),
  success: {
    status: 201,
    schema: z.object({
      accountId: idField('acc'),
      email: z.string(),
      name: z.string(),
      token: z.string(),
      expiresAt: timestamp,
    }),
    credential: true,
  },
  errors: ['invite_required', 'conflict'],

  async handle({ body, em, deps }) {
    const now = deps.clock();
    const { name, email, inviteCode } = body;
    const invite = await lockInvite(em, inviteCode, email, now);
    if (!invite)
      throw new AppError(
        'invite_required',
        'This invite code is unknown, used up, expired or bound to another email address. Request a new invite code.',
      );
    const accountId = deps.makeId('acc');
    const emailVerifiedAt = invite.isBound ? now : null;
    if (!(await insertAccount(em, { id: accountId, email, name, emailVerifiedAt, createdAt: now }))) {
      await markRegistrationContested(em, email);
      return null;
    }
    await countInviteUse(em, inviteCode);
    const amountNanoUsd = invite.creditNanoUsd ?? parseUsd(deps.config.SIGNUP_CREDIT_USD) ?? 0n;
    // A ledger line moves an amount above zero, so an invite without credit leaves no line.
    if (amountNanoUsd > 0n)
      await transfer(em, {
        id: deps.makeId('txn'),
        accountId,
        at: now,
        kind: 'credit',
        from: 'credits',
        to: 'customer',
        amountNanoUsd,
        reason: 'Sign-up credit',
        dedupeKey: `sign-up:${accountId}`,
      });
    const { token, expiresAt } = deps.tokens.issue({ accountId, tokenVersion: 0 });
    return { accountId, email, name, token, expiresAt };
  },
  auditSubject: (account) => account && { accountId: account.accountId, target: account.accountId },

  // That the address was registered twice had to be stored, so the refusal comes after the commit.
  async after(account) {
    if (!account) throw new AppError('conflict', 'An account with this email address already exists. Log in instead.');
    return account;
  },
});
