import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { findUsage, usageRange, usageSchema } from '../billing/usage.schema.ts';
import { instanceParams } from './instance.schema.ts';

export const getInstanceUsage = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/usage',
  operationId: 'instances.usage',
  summary: 'Get the usage of the agents of an instance',
  tag: 'billing',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object(usageRange),
  success: { status: 200, schema: usageSchema },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, query, actor, em }) {
    const { from, to } = query;
    return findUsage(em, { accountId: actor.accountId, instanceId: params.instanceId, from, to, groupBy: 'agent' });
  },
});
