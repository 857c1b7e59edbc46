import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { setSleepAfter } from '../../../database/instances/sleep/set-sleep-after.ts';
import { wakeSleeper } from '../../../database/instances/sleep/wake-sleeper.ts';
import { requireWakeable } from '../../../turns/require-wakeable.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { nameField } from '../../contract/fields.ts';
import { changedMetadata, changeMetadata } from '../../contract/metadata.ts';
import { findInstance } from '../../find-instance.ts';
import { instanceParams, instanceSchema, presentInstance, sleepAfterField } from './instance.schema.ts';

export const updateInstance = defineOperation({
  method: 'PATCH',
  path: '/instances/:instanceId',
  operationId: 'instances.update',
  summary: 'Change the name, the metadata or the sleep of an instance',
  description:
    'Fields that are not given stay as they are. The instance goes on running; one that sleeps wakes when `sleepAfterMs` is set to `null`.',
  tag: 'instances',
  auth: 'account',
  scope: 'write',
  audit: 'instances.update',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  params: instanceParams,
  body: z.object({ name: nameField.optional(), metadata: changedMetadata.optional(), sleepAfterMs: sleepAfterField.optional() }),
  success: { status: 200, schema: instanceSchema },
  errors: ['payment_required'],

  async load({ params, actor, em }) {
    return findInstance(em, { accountId: actor.accountId, ...params });
  },
  async handle({ params, body, actor, em, deps, loaded: instance }) {
    const { sleepAfterMs } = body;
    instance.name = body.name ?? instance.name;
    await em.flush();
    if (sleepAfterMs !== undefined)
      await changeSleep(em, { ...params, accountId: actor.accountId }, { sleepAfterMs, now: deps.clock() });
    if (body.metadata) await changeMetadata(em, 'instances', instance.id, body.metadata);
    return presentInstance(em, { accountId: actor.accountId, ...params });
  },
});

/** An instance that never falls asleep is not left asleep. */
async function changeSleep(
  em: EntityManager,
  owned: { accountId: string; instanceId: string },
  { sleepAfterMs, now }: { sleepAfterMs: number | null; now: Date },
): Promise<void> {
  await setSleepAfter(em, owned.instanceId, sleepAfterMs);
  if (sleepAfterMs === null && (await wakeSleeper(em, owned.instanceId))) await requireWakeable(em, owned, now);
}
