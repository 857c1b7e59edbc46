import { z } from 'zod';
import { deleteAccountRows } from '../../../database/accounts/delete-account.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, loginCodeField } from '../../contract/fields.ts';
import { checkLoginCode, refusedCode, spendLoginCode } from '../../security/prove-login.ts';
import { acceptPower } from '../instances/power.ts';

export const deleteAccount = defineOperation({
  method: 'DELETE',
  path: '/account',
  operationId: 'account.delete',
  summary: 'Delete your account and all its data',
  description:
    'Request a code with `POST /auth/login`, then send it here. The instances of the account with everything in them, its keys, tokens, webhooks and budgets are deleted at once and cannot be restored; a balance that is left is forfeited. The email address can be registered again after 30 days. Ledger entries are kept without a name.',
  tag: 'auth',
  auth: 'account',
  scope: 'write',
  wholeAccount: true,
  audit: 'account.delete',
  rateLimit: 'account',
  idempotent: true,
  body: z.object({ code: loginCodeField }),
  success: { status: 200, schema: z.object({ accountId: idField('acc'), deleted: z.literal(true) }) },
  errors: ['forbidden'],

  before: ({ body: { code }, actor, em, deps, address }) =>
    checkLoginCode(em, deps, { account: { id: actor.accountId }, code, address }),

  async handle({ prepared, em, deps }) {
    const now = deps.clock();
    const accountId = await spendLoginCode(em, prepared, now);
    if (accountId === null) return null;
    for (const instanceId of await deleteAccountRows(em, { accountId, now })) await acceptPower(em, instanceId, 'destroy', now);
    return { accountId, deleted: true as const };
  },
  auditSubject: (deleted) => deleted && { target: deleted.accountId },

  // A wrong code has cost a try, which had to be stored, so the refusal comes after the commit.
  async after(deleted) {
    if (!deleted) throw refusedCode('forbidden');
    return deleted;
  },
});
