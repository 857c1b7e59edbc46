import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { Webhook } from '../../../database/entities/webhook.ts';
import { findOwnedWebhook } from '../../../database/webhooks/webhooks.ts';
import { webhookPlace } from '../../../database/webhook-place.ts';
import { AppError } from '../../../domain/errors.ts';
import { SUBSCRIBABLE } from '../../../domain/webhooks/webhook-events.ts';
import { createDnsLookup } from '../../../lib/net/safe-lookup.ts';
import { resolvedTargetProblem, usedUrl } from '../../../lib/net/safe-target.ts';
import type { AccountActor } from '../../security/actor.ts';
import { seesInstance } from '../../../domain/access/key-scopes.ts';
import { encryptionOf } from '../../security/encryption-of.ts';
import type { Deps } from '../../deps.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

export const webhookParams = z.object({ webhookId: idField('wh') });

const DNS_MS = 2_000;

/** Kept as it is used: without blanks around it, line ends in it, and a fragment. */
export const urlField = z
  .string()
  .transform(usedUrl)
  .meta({
    description: 'The URL that receives the events: https, a public host, no user name or password, at most 2,048 characters.',
    example: 'https://example.com/webhook',
    override: { format: 'uri', maxLength: 2_048 },
  });

export const eventsField = z
  .array(z.enum(SUBSCRIBABLE))
  .min(1, 'Give at least one event type.')
  .transform((events) => [...new Set(events)])
  .meta({
    description: 'The event types to send. `*` stands for `cron.completed`, `agent.message` and `agent.error`.',
    example: ['cron.completed', 'agent.message'],
  });

export const descriptionField = z.string().trim().max(256);

export const webhookSchema = z
  .object({
    webhookId: idField('wh'),
    url: z.string(),
    events: z.array(z.enum(SUBSCRIBABLE)),
    instanceId: idField('inst').nullable().meta({ description: 'The instance whose events are sent; `null` for all instances.' }),
    agentId: idField('agt').nullable().meta({ description: 'The agent whose events are sent; `null` for all agents.' }),
    description: z.string().nullable(),
    secret: z.string().meta({
      description:
        'The key that signs the deliveries. Only creation, `GET /webhooks/:webhookId` and rotation return it unmasked.',
      example: 'whsec_****Zz8=',
    }),
    enabled: z.boolean(),
    disabledReason: z.enum(['gone', 'failing']).nullable().meta({
      description:
        'Why the webhook was disabled automatically: `gone` after a 410 response, `failing` after five days of failures; `null` otherwise.',
    }),
    failingSince: timestamp.nullable().meta({
      description: 'When the first attempt failed since the last success; `null` when no attempt has failed since then.',
    }),
    createdAt: timestamp,
  })
  .meta({ id: 'Webhook' });

/** A webhook as its customer sees it, with this as its secret. */
function present(webhook: Webhook, secret: string): z.input<typeof webhookSchema> {
  const { id: webhookId, url, instance, agent, description, enabled, disabledReason, failingSince, createdAt } = webhook;
  const events = z.array(z.enum(SUBSCRIBABLE)).parse(webhook.events);
  return {
    ...{ webhookId, url, events, instanceId: instance, agentId: agent, description, secret, enabled, disabledReason },
    failingSince: failingSince?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
  };
}

export function presentMasked(webhook: Webhook): z.input<typeof webhookSchema> {
  return present(webhook, `whsec_****${webhook.secretLast4}`);
}

export function presentWithSecret(webhook: Webhook, deps: Deps): z.input<typeof webhookSchema> {
  return present(webhook, encryptionOf(deps).decrypt(webhook.secret, webhookPlace(webhook.id)));
}

/** The caller's webhook. Throws `not_found`, and `forbidden` where the caller's key is limited to another instance. */
export async function findWebhook(em: EntityManager, actor: AccountActor, webhookId: string): Promise<Webhook> {
  const webhook = await findOwnedWebhook(em, { accountId: actor.accountId, webhookId });
  if (!webhook) throw new AppError('not_found', 'Webhook not found');
  requireScopeOfWebhook(actor, webhook.instance);
  return webhook;
}

/** Throws `forbidden` where the caller's key is limited to another instance than the one whose events a webhook gets. */
export function requireScopeOfWebhook({ limits }: AccountActor, instanceId: string | null): void {
  if (seesInstance(limits, instanceId)) return;
  throw new AppError(
    'forbidden',
    `This API key is limited to the instance ${limits.instanceId}, and the webhook is not for that instance only. Give its instanceId, or use a key without that limit.`,
  );
}

/** Throws `invalid_request` unless deliveries may be sent there. Asks the name servers, so it belongs into `before`. */
export async function requireTarget(url: string | undefined, { config }: Pick<Deps, 'config'>): Promise<void> {
  if (url === undefined) return;
  const options = { allowPrivate: config.WEBHOOK_ALLOW_PRIVATE, lookup: createDnsLookup(), timeoutMs: DNS_MS };
  const problem = await resolvedTargetProblem(url, options);
  if (problem === null) return;
  const message = `The URL ${problem}`;
  throw invalidRequest([{ path: 'url', message }]);
}
