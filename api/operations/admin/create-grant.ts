import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { readDatabaseClock } from '../../../database/billing/account-money.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { findBalance } from '../../../database/billing/find-balance.ts';
import { AppError } from '../../../domain/errors.ts';
import { formatUsd } from '../../../domain/money/money.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { amountUsdField, idField, timestamp } from '../../contract/fields.ts';

export const createGrant = defineOperation({
  method: 'POST',
  path: '/admin/accounts/:accountId/grants',
  operationId: 'grants.create',
  summary: 'Add credit to an account',
  tag: 'operator',
  auth: 'operator',
  audit: 'grants.create',
  rateLimit: 'none',
  idempotent: true,
  params: z.object({ accountId: idField('acc') }),
  body: z.object({
    amountUsd: amountUsdField.refine((nanoUsd) => nanoUsd > 0n, 'Must be greater than zero.'),
    reason: z
      .string()
      .trim()
      .min(1)
      .max(500)
      .meta({ description: 'The reason for the credit. The customer sees it in the ledger.' }),
  }),
  success: {
    status: 201,
    schema: z.object({
      grantId: z.string(),
      accountId: idField('acc'),
      amountUsd: z.string(),
      reason: z.string(),
      balanceNanoUsd: z.string().meta({ description: 'The balance after the grant, in 10^-9 USD.' }),
      createdAt: timestamp,
    }),
  },
  errors: [],

  async load({ params, em }) {
    if ((await em.count(Account, { id: params.accountId, deletedAt: null })) === 0)
      throw new AppError('not_found', 'Account not found');
  },
  async handle({ params, body, em, deps }) {
    const { accountId } = params;
    const { amountUsd: amountNanoUsd, reason } = body;
    const grantId = deps.makeId('txn');
    const at = await readDatabaseClock(em);
    await grantCredit(em, { id: grantId, accountId, amountNanoUsd, reason, now: at, makeId: deps.makeId });
    const balance = await findBalance(em, accountId);
    return {
      grantId,
      accountId,
      amountUsd: formatUsd(amountNanoUsd),
      reason,
      balanceNanoUsd: balance.toString(),
      createdAt: at.toISOString(),
    };
  },
  auditSubject: ({ grantId, accountId }) => ({ target: grantId, accountId }),
});
