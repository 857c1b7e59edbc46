import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { findBalance } from '../../../database/billing/find-balance.ts';
import { formatUsd } from '../../../domain/money/money.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { emailField, idField, timestamp } from '../../contract/fields.ts';
import { byCreation, nextCursor, olderThan, paginate } from '../../contract/pagination.ts';

const pages = paginate('accounts', byCreation);

export const listAccounts = defineOperation({
  method: 'GET',
  path: '/admin/accounts',
  operationId: 'accounts.list',
  summary: 'List the accounts, or find an account by its email address',
  tag: 'operator',
  auth: 'operator',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  query: z.object({ ...pages.fields, email: emailField.optional() }),
  success: {
    status: 200,
    schema: z.object({
      accounts: z.array(
        z.object({
          accountId: idField('acc'),
          email: z.string(),
          name: z.string(),
          emailVerified: z.boolean(),
          operator: z.boolean().meta({ description: 'Whether the account is an operator in the console.' }),
          balanceUsd: z.string(),
          balanceNanoUsd: z.string(),
          createdAt: timestamp,
          deletedAt: timestamp.nullable(),
        }),
      ),
      nextCursor,
    }),
  },
  errors: [],

  async handle({ query, em }) {
    const { limit, cursor, email } = query;
    const rows = await em.find(
      Account,
      { ...(email === undefined ? {} : { email }), ...olderThan(cursor, 'id') },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ createdAt, id }) => [createdAt.getTime(), id]);
    const balances = await Promise.all(page.items.map(({ id }) => findBalance(em.fork(), id)));
    const accounts = page.items.map((account, index) => ({
      accountId: account.id,
      email: account.email,
      name: account.name,
      emailVerified: account.emailVerifiedAt !== null,
      operator: account.isOperator,
      balanceUsd: formatUsd(balances[index] ?? 0n),
      balanceNanoUsd: (balances[index] ?? 0n).toString(),
      createdAt: account.createdAt.toISOString(),
      deletedAt: account.deletedAt?.toISOString() ?? null,
    }));
    return { accounts, nextCursor: page.nextCursor };
  },
});
