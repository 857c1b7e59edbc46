import { z } from 'zod';
import { enableWebhook } from '../../../database/webhooks/webhooks.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import {
  descriptionField,
  eventsField,
  findWebhook,
  presentMasked,
  requireTarget,
  urlField,
  webhookParams,
  webhookSchema,
} from './webhook.schema.ts';

/** It is refused rather than ignored, so that the client does not take it for changed. */
const immutable = z
  .never({ error: 'The scope of a webhook cannot be changed. Create a new webhook instead.' })
  .optional()
  .meta({ description: 'The scope of a webhook cannot be changed after creation.' });

export const updateWebhook = defineOperation({
  method: 'PATCH',
  path: '/webhooks/:webhookId',
  operationId: 'webhooks.update',
  summary: 'Enable, disable or update a webhook',
  description:
    'While a webhook is disabled, new events are not queued for it. Deliveries that were already waiting are sent when the webhook is enabled again.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.update',
  rateLimit: 'account',
  idempotent: true,
  params: webhookParams,
  body: z.object({
    enabled: z.boolean().optional(),
    url: urlField.optional(),
    events: eventsField.optional(),
    description: descriptionField.nullable().optional(),
    instanceId: immutable,
    agentId: immutable,
  }),
  success: { status: 200, schema: webhookSchema },
  errors: [],

  async load({ params, actor, em }) {
    return findWebhook(em, actor, params.webhookId);
  },
  async before({ params, body, actor, em, deps }) {
    if (body.url === undefined) return;
    await findWebhook(em, actor, params.webhookId);
    await requireTarget(body.url, deps);
  },
  async handle({ params, body, actor, em, loaded: webhook }) {
    const { enabled, url, events, description } = body;
    if (url !== undefined) webhook.url = url;
    if (events !== undefined) webhook.events = events;
    if (description !== undefined) webhook.description = description;
    const isEnabling = enabled === true && !webhook.enabled;
    if (enabled === false) webhook.enabled = false;
    await em.flush();
    if (!isEnabling) return presentMasked(webhook);
    await enableWebhook(em, webhook.id);
    return presentMasked(await findWebhook(em, actor, params.webhookId));
  },
});
