import { z } from 'zod';
import { Instance } from '../../../database/entities/instance.ts';
import { hasMoney } from '../../../database/billing/find-balance.ts';
import { countInstancesLocked } from '../../../database/instances/count-instances.ts';
import { wakeInstance } from '../../../database/instances/wake-instance.ts';
import { AppError } from '../../../domain/errors.ts';
import type { RandomBytes } from '../../../domain/ids.ts';
import { BASE_PATH } from '../../http/base-path.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { newMetadata } from '../../contract/metadata.ts';
import { awaitStatus, waitSeconds } from './await-status.ts';
import { requireBudget } from './require-budget.ts';
import { instanceSchema, presentInstance } from './instance.schema.ts';
import { SHARDS } from '../../../domain/shards.ts';

/** The watch shard of a new instance. */
export function newShard(randomBytes: RandomBytes): number {
  return (randomBytes(1)[0] ?? 0) % SHARDS;
}

export const createInstance = defineOperation({
  method: 'POST',
  path: '/instances',
  operationId: 'instances.create',
  summary: 'Create an instance',
  description: 'Provisioning is asynchronous: poll `GET /instances/:instanceId` until the status is `running`, or pass `wait`.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  query: z.object({ wait: waitSeconds.optional() }),
  body: z.object({ name: nameField, metadata: newMetadata.default({}) }),
  success: {
    status: 201,
    schema: instanceSchema,
    headers: {
      Location: {
        description: 'The path of the new instance.',
        value: ({ instanceId }) => `${BASE_PATH}/instances/${instanceId}`,
      },
    },
  },
  errors: ['conflict', 'payment_required', 'not_found'],

  async handle({ body, actor, em, deps }) {
    const { accountId } = actor;
    const limit = deps.config.MAX_INSTANCES_PER_ACCOUNT;
    if ((await countInstancesLocked(em, accountId)) >= limit)
      throw new AppError('conflict', `An account can have at most ${limit} instances. Delete an instance first.`);
    if (!(await hasMoney(em, accountId)))
      throw new AppError('payment_required', 'The balance is used up. Add credit, then create the instance.');
    const now = deps.clock();
    await requireBudget(em, { accountId, instanceId: null }, now);
    const instance = em.create(Instance, {
      id: deps.makeId('inst'),
      account: accountId,
      name: body.name,
      metadata: body.metadata,
      runtimeId: deps.makeId('run'),
      createdAt: now,
      desiredStatus: 'running',
      status: 'provisioning',
      transitionKind: 'starting',
      transitionStartedAt: now,
      transitionStep: null,
      shard: newShard(deps.randomBytes),
    });
    await em.flush();
    await wakeInstance(em, instance.id);
    return presentInstance(em, { accountId, instanceId: instance.id });
  },
  auditSubject: ({ instanceId }) => ({ target: instanceId, instanceId }),

  async after(created, { query, actor, deps, signal }) {
    if (query.wait === undefined) return created;
    const { instanceId } = created;
    return awaitStatus(deps, { accountId: actor.accountId, instanceId, status: 'running', seconds: query.wait, signal });
  },
});
