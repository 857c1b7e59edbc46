import { z } from 'zod';
import { hasMoney } from '../../../database/billing/find-balance.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { awaitStatus, waitSeconds } from './await-status.ts';
import { instanceParams } from './instance.schema.ts';
import { requireBudget } from './require-budget.ts';
import { acceptPower, powerAnswer } from './power.ts';

export const startInstance = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/start',
  operationId: 'instances.start',
  summary: 'Start an instance',
  description:
    'The call returns the accepted target status before the instance runs, unless `wait` is given. An instance with the status `error` is tried again.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.start',
  rateLimit: 'account',
  idempotent: true,
  params: instanceParams,
  query: z.object({ wait: waitSeconds.optional() }),
  success: { status: 200, schema: powerAnswer('running') },
  errors: ['conflict', 'payment_required'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, actor, em, deps }) {
    const { instanceId } = params;
    const isNew = await acceptPower(em, instanceId, 'start', deps.clock());
    if (isNew && !(await hasMoney(em, actor.accountId)))
      throw new AppError('payment_required', 'The balance is used up. Add credit, then start the instance.');
    if (isNew) await requireBudget(em, { accountId: actor.accountId, instanceId }, deps.clock());
    return { instanceId, status: 'running' as const };
  },
  async after(accepted, { query, actor, deps, signal }) {
    if (query.wait === undefined) return accepted;
    return awaitStatus(deps, { accountId: actor.accountId, ...accepted, seconds: query.wait, signal });
  },
});
