import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Agent } from '../../../database/entities/agent.ts';
import { Instance } from '../../../database/entities/instance.ts';
import { Webhook } from '../../../database/entities/webhook.ts';
import { countWebhooksLocked } from '../../../database/webhooks/webhooks.ts';
import { webhookPlace } from '../../../database/webhook-place.ts';
import { AppError } from '../../../domain/errors.ts';
import { makeSigningSecret } from '../../../lib/crypto/signing-secret.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { encryptionOf } from '../../security/encryption-of.ts';
import { idField } from '../../contract/fields.ts';
import {
  descriptionField,
  eventsField,
  presentWithSecret,
  requireScopeOfWebhook,
  requireTarget,
  urlField,
  webhookSchema,
} from './webhook.schema.ts';

const MAX_WEBHOOKS = 20;

export const createWebhook = defineOperation({
  method: 'POST',
  path: '/webhooks',
  operationId: 'webhooks.create',
  summary: 'Subscribe a URL to events',
  description: 'Store the secret securely: it is the key that verifies the signatures of deliveries.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({
    url: urlField,
    events: eventsField,
    instanceId: idField('inst').optional().meta({ description: 'Only send events of this instance.' }),
    agentId: idField('agt').optional().meta({ description: 'Only send events of this agent.' }),
    description: descriptionField.optional(),
  }),
  success: { status: 201, schema: webhookSchema, credential: true },
  errors: ['not_found', 'conflict', 'invalid_request'],

  async before({ body, deps }) {
    await requireTarget(body.url, deps);
  },

  async handle({ body, actor, em, deps }) {
    const { accountId } = actor;
    const scope = await findScope(em, accountId, body);
    requireScopeOfWebhook(actor, scope.instance);
    if ((await countWebhooksLocked(em, accountId)) >= MAX_WEBHOOKS)
      throw new AppError('conflict', `An account can have at most ${MAX_WEBHOOKS} webhooks. Delete a webhook first.`);
    const id = deps.makeId('wh');
    const secret = makeSigningSecret(deps.randomBytes);
    const webhook = em.create(Webhook, {
      ...{ id, account: accountId, ...scope, url: body.url, events: body.events, description: body.description ?? null },
      secret: encryptionOf(deps).encrypt(secret, webhookPlace(id)),
      secretLast4: secret.slice(-4),
      createdAt: deps.clock(),
    });
    await em.flush();
    return presentWithSecret(webhook, deps);
  },
  auditSubject: ({ webhookId, instanceId }) => ({ target: webhookId, instanceId }),
});

/** The instance and agent that it is for. Throws `not_found`, also where the agent is not of that instance. */
async function findScope(
  em: EntityManager,
  account: string,
  { instanceId, agentId }: { instanceId?: string | undefined; agentId?: string | undefined },
): Promise<{ instance: string | null; agent: string | null }> {
  const ofInstance = instanceId === undefined ? {} : { instance: instanceId };
  const agent = agentId === undefined ? null : await em.findOne(Agent, { id: agentId, account, deletedAt: null, ...ofInstance });
  const wanted = agent?.instance ?? instanceId;
  const alive = { account, deletedAt: null, desiredStatus: { $ne: 'destroyed' as const } };
  const instance = wanted === undefined ? null : await em.findOne(Instance, { id: wanted, ...alive });
  if (wanted !== undefined && !instance) throw new AppError('not_found', 'Instance not found');
  if (agentId !== undefined && !agent) throw new AppError('not_found', 'Agent not found');
  return { instance: instance?.id ?? null, agent: agent?.id ?? null };
}
