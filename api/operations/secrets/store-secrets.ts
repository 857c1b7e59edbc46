import { z } from 'zod';
import { InstanceSecret } from '../../../database/entities/instance-secret.ts';
import { requestRestart } from '../../../database/instances/lifecycle/request-restart.ts';
import { countSecretBytes, storeSecret } from '../../../database/content/secrets.ts';
import { secretPlace } from '../../../database/secret-place.ts';
import type { AppError } from '../../../domain/errors.ts';
import { MAX_SECRETS, MAX_SECRETS_BYTES } from '../../../domain/agents/secrets.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { encryptionOf } from '../../security/encryption-of.ts';
import { findInstance } from '../../find-instance.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { restarting, secretsField } from './secret.schema.ts';
import { invalidRequest } from '../../contract/invalid-request.ts';

/** Room for a hundred values of 64 KiB with escaped characters, so that too many secrets are refused with the limit of secrets, not of the body. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

export const storeSecrets = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/secrets',
  operationId: 'secrets.store',
  summary: 'Store or replace secrets',
  description:
    'Stores all of the given secrets, or none of them when one is invalid. A running instance restarts within seconds to load the secrets; changes within two seconds share one restart.',
  tag: 'secrets',
  auth: 'account',
  scope: 'secrets',
  audit: 'secrets.store',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  bodyLimitBytes: BODY_LIMIT_BYTES,
  params: instanceParams,
  body: z.object({ secrets: secretsField }),
  success: { status: 200, schema: z.object({ stored: z.int(), restarting }) },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, body, actor, em, deps }) {
    const { instanceId } = params;
    const { accountId } = actor;
    const now = deps.clock();
    const secrets = Object.entries(body.secrets);
    // Checked before storing, which takes one statement for each secret.
    if (secrets.length > MAX_SECRETS) throw tooMany();
    await changeContent(em, { accountId, instanceId });
    const encryption = encryptionOf(deps);
    for (const [key, value] of secrets)
      await storeSecret(em, {
        instanceId,
        key,
        value: encryption.encrypt(value, secretPlace({ accountId, instanceId, key })),
        now,
      });
    if ((await em.count(InstanceSecret, { instance: instanceId })) > MAX_SECRETS) throw tooMany();
    const bytes = await countSecretBytes(em, instanceId);
    if (bytes > MAX_SECRETS_BYTES)
      throw tooMuch(
        `The keys and values of the secrets of an instance can have at most ${MAX_SECRETS_BYTES} bytes in total; with this request they would have ${bytes}. Delete some secrets first.`,
      );
    return { stored: secrets.length, restarting: await requestRestart(em, { instanceId, now }) };
  },
});

function tooMany(): AppError {
  return tooMuch(`An instance can have at most ${MAX_SECRETS} secrets. Delete some secrets first.`);
}

function tooMuch(message: string): AppError {
  return invalidRequest([{ path: 'secrets', message }]);
}
