import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { awaitStatus, waitSeconds } from './await-status.ts';
import { instanceParams, instanceSchema, instanceStatus } from './instance.schema.ts';

const DEFAULT_SECONDS = 60;

export const waitInstance = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/wait',
  operationId: 'instances.wait',
  summary: 'Wait until an instance has a status',
  description:
    'Returns the instance as soon as it has the status, can no longer reach the status, or the timeout has passed. Waiting does not wake a sleeping instance: `POST /instances/:instanceId/start` does, and so does a message to one of its agents.',
  tag: 'instances',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object({ status: instanceStatus.default('running'), timeout: waitSeconds.default(DEFAULT_SECONDS) }),
  success: { status: 200, schema: instanceSchema },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle() {
    return null;
  },
  async after(_nothing, { params, query, actor, deps, signal }) {
    const { status, timeout: seconds } = query;
    return awaitStatus(deps, { accountId: actor.accountId, instanceId: params.instanceId, status, seconds, signal });
  },
});
