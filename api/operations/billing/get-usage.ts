import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { findUsage, usageRange, usageSchema } from './usage.schema.ts';

export const getUsage = defineOperation({
  method: 'GET',
  path: '/billing/usage',
  operationId: 'billing.usage',
  summary: 'Get the usage of the account: running time and its cost, messages and model tokens',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({
    ...usageRange,
    groupBy: z
      .enum(['instance', 'agent', 'day', 'model'])
      .default('instance')
      .meta({ description: 'How the usage is grouped: the result has one row for each instance, agent, day or model.' }),
  }),
  success: { status: 200, schema: usageSchema },
  errors: [],

  async handle({ query, actor, em }) {
    return findUsage(em, {
      accountId: actor.accountId,
      instanceId: null,
      from: query.from,
      to: query.to,
      groupBy: query.groupBy,
    });
  },
});
