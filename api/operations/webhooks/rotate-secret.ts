import { webhookPlace } from '../../../database/webhook-place.ts';
import { makeSigningSecret } from '../../../lib/crypto/signing-secret.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { encryptionOf } from '../../security/encryption-of.ts';
import { timestamp } from '../../contract/fields.ts';
import { findWebhook, presentWithSecret, webhookParams, webhookSchema } from './webhook.schema.ts';

const GRACE_MS = 24 * 60 * 60_000;

export const rotateSecret = defineOperation({
  method: 'POST',
  path: '/webhooks/:webhookId/rotate-secret',
  operationId: 'webhooks.rotateSecret',
  summary: 'Rotate the secret of a webhook',
  description:
    '`X-Thermidora-Signature` uses the new secret from now on. For 24 hours, `X-Thermidora-Signature-Previous` uses the old secret, and `webhook-signature` contains both signatures.',
  tag: 'webhooks',
  auth: 'account',
  scope: 'write',
  keyOfInstance: true,
  audit: 'webhooks.rotateSecret',
  rateLimit: 'account',
  idempotent: true,
  params: webhookParams,
  success: { status: 200, schema: webhookSchema.extend({ previousSecretUntil: timestamp }), credential: true },
  errors: [],

  async handle({ params, actor, em, deps }) {
    const webhook = await findWebhook(em, actor, params.webhookId);
    const secret = makeSigningSecret(deps.randomBytes);
    const until = new Date(deps.clock().getTime() + GRACE_MS);
    // Both are bound to the row alone, so the old one may move as it is.
    webhook.previousSecret = webhook.secret;
    webhook.previousSecretUntil = until;
    webhook.secret = encryptionOf(deps).encrypt(secret, webhookPlace(webhook.id));
    webhook.secretLast4 = secret.slice(-4);
    await em.flush();
    return { ...presentWithSecret(webhook, deps), previousSecretUntil: until.toISOString() };
  },
});
