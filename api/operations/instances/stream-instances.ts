import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findInstance } from '../../find-instance.ts';
import { EventStream } from '../../http/event-stream.ts';
import { AppError } from '../../../domain/errors.ts';
import { seesInstance } from '../../../domain/access/key-scopes.ts';
import { followInstances } from './follow-instances.ts';
import { instanceSchema } from './instance.schema.ts';

export const streamInstances = defineOperation({
  method: 'GET',
  path: '/instances/stream',
  operationId: 'instances.stream',
  summary: 'Follow the state of your instances live',
  description:
    'Server-sent events: every instance as `GET /instances/:instanceId` returns it, and again whenever it changes. Progress of `totalRuntimeMs` and `billedMs` alone is not a change. The last event of a deleted instance is `{"instanceId", "deleted": true}`. A comment is sent every 15 seconds.',
  tag: 'instances',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  query: z.object({ instanceId: idField('inst').optional().meta({ description: 'Only follow this instance.' }) }),
  success: {
    status: 200,
    schema: z.union([z.object({ instanceId: idField('inst'), deleted: z.literal(true) }), instanceSchema]),
    stream: 'only',
  },
  errors: ['not_found'],

  async handle({ query, actor, em }) {
    const instanceId = query.instanceId ?? actor.limits.instanceId;
    if (instanceId === null) return { instanceId };
    if (!seesInstance(actor.limits, instanceId)) throw new AppError('not_found', 'Instance not found');
    await findInstance(em, { accountId: actor.accountId, instanceId });
    return { instanceId };
  },

  async after({ instanceId }, { actor, deps, signal }) {
    return new EventStream(followInstances(deps, { accountId: actor.accountId, instanceId, signal }));
  },
});
