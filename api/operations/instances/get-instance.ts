import { defineOperation } from '../../contract/define-operation.ts';
import { instanceParams, instanceSchema, presentInstance } from './instance.schema.ts';

export const getInstance = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId',
  operationId: 'instances.get',
  summary: 'Get an instance and its agents',
  tag: 'instances',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  success: { status: 200, schema: instanceSchema },
  errors: [],

  async handle({ params, actor, em }) {
    return presentInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
});
