import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';

export const updateAccount = defineOperation({
  method: 'PATCH',
  path: '/admin/accounts/:accountId',
  operationId: 'accounts.update',
  summary: 'Make an account an operator, or take that away',
  description:
    'In the console, an operator sees and does what the operator token allows. In the API, its keys and tokens remain those of a customer. It takes effect at once.',
  tag: 'operator',
  auth: 'operator',
  audit: 'accounts.update',
  rateLimit: 'none',
  idempotent: true,
  params: z.object({ accountId: idField('acc') }),
  body: z.object({ operator: z.boolean() }),
  success: { status: 200, schema: z.object({ accountId: idField('acc'), operator: z.boolean() }) },
  errors: [],

  async load({ params, em }) {
    const account = await em.findOne(Account, { id: params.accountId });
    if (!account) throw new AppError('not_found', 'Account not found');
    return account;
  },
  async handle({ body, loaded: account, em }) {
    account.isOperator = body.operator;
    await em.flush();
    return { accountId: account.id, operator: account.isOperator };
  },
  auditSubject: ({ accountId }) => ({ target: accountId, accountId }),
});
