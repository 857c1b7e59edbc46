import { defineOperation } from '../../contract/define-operation.ts';
import { findWebhook, presentWithSecret, webhookParams, webhookSchema } from './webhook.schema.ts';

export const getWebhook = defineOperation({
  method: 'GET',
  path: '/webhooks/:webhookId',
  operationId: 'webhooks.get',
  summary: 'Get a webhook, including its unmasked secret',
  tag: 'webhooks',
  auth: 'account',
  scope: 'read',
  keyOfInstance: true,
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: webhookParams,
  success: { status: 200, schema: webhookSchema, credential: true },
  errors: [],

  async handle({ params, actor, em, deps }) {
    return presentWithSecret(await findWebhook(em, actor, params.webhookId), deps);
  },
});
