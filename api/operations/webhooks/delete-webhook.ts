import { z } from 'zod';
import { deleteWebhook as remove } from '../../../database/webhooks/webhooks.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';
import { findWebhook, webhookParams } from './webhook.schema.ts';

export const deleteWebhook = defineOperation({
  method: 'DELETE',
  path: '/webhooks/:webhookId',
  operationId: 'webhooks.delete',
  summary: 'Delete a webhook',
  description: 'Deliveries that are waiting are discarded.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.delete',
  rateLimit: 'account',
  idempotent: true,
  params: webhookParams,
  success: { status: 200, schema: z.object({ webhookId: idField('wh'), deleted: z.literal(true) }) },
  errors: [],

  async load({ params, actor, em }) {
    await findWebhook(em, actor, params.webhookId);
  },
  async handle({ params, actor, em }) {
    if (!(await remove(em, { accountId: actor.accountId, ...params }))) throw new AppError('not_found', 'Webhook not found');
    return { webhookId: params.webhookId, deleted: true as const };
  },
});
