import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { findBalance } from '../../../database/billing/find-balance.ts';
import { findStoredBytes } from '../../../database/accounts/stored-bytes.ts';
import { balanceUsd } from '../../../domain/money/money.ts';
import { turnSettings } from '../../../turns/turn-deps.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';

export const getMe = defineOperation({
  method: 'GET',
  path: '/auth/me',
  operationId: 'auth.me',
  summary: 'Get your account and its balance',
  tag: 'auth',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  success: {
    status: 200,
    schema: z.object({
      accountId: idField('acc'),
      email: z.string(),
      name: z.string(),
      emailVerified: z.boolean(),
      operator: z.boolean().meta({ description: 'Whether the account is an operator in the console.' }),
      balanceUsd: z.number().meta({ description: 'The balance in USD, rounded down to cents and never negative.' }),
      balanceNanoUsd: z.string().meta({ description: 'The exact balance in 10^-9 USD.' }),
      storedBytes: z.int().min(0).meta({
        description:
          'The number of bytes that the account stores: the texts of messages, events, files, skills, secrets, cron jobs and deliveries, plus 256 bytes for each of them.',
      }),
      maxStoredBytes: z.int().min(0).meta({
        description:
          'The maximum number of bytes that the account can store. Once it is reached, requests that store more fail with 413 `storage_full`, and only the first 1 KiB of each reply is kept.',
      }),
    }),
  },
  errors: [],

  async handle({ actor, em, deps }) {
    const account = await em.findOneOrFail(Account, { id: actor.accountId });
    const balance = await findBalance(em, actor.accountId);
    return {
      accountId: account.id,
      email: account.email,
      name: account.name,
      emailVerified: account.emailVerifiedAt !== null,
      operator: account.isOperator,
      balanceUsd: balanceUsd(balance),
      balanceNanoUsd: balance.toString(),
      storedBytes: Math.max(0, await findStoredBytes(em, actor.accountId)),
      maxStoredBytes: turnSettings(deps.config).maxStoredBytes,
    };
  },
});
