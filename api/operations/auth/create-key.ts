import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { lockAccount } from '../../../database/accounts/lock-account.ts';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { AppError } from '../../../domain/errors.ts';
import { hasScope } from '../../../domain/access/key-scopes.ts';
import type { KeyLimits, KeyScope } from '../../../domain/access/key-scopes.ts';
import { findInstance } from '../../find-instance.ts';
import type { AccountActor } from '../../security/actor.ts';
import { makeApiKey } from '../../security/api-key.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { givenTime, idField, nameField, requireFuture, timestamp } from '../../contract/fields.ts';
import { limitFields, presentLimits, scopesField } from './key.schema.ts';

export const createKey = defineOperation({
  method: 'POST',
  path: '/auth/keys',
  operationId: 'keys.create',
  summary: 'Create an API key',
  description:
    'The response is the only place that shows the key. Store the key securely. A key may be limited to scopes, to an instance and in time; a key that creates another one passes its limits on, and cannot create one that may do more.',
  tag: 'auth',
  auth: 'account',
  scope: 'keys',
  audit: 'keys.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z
    .object({
      name: nameField,
      expiresAt: givenTime.optional().meta({
        description:
          'When the key expires. Defaults to the expiry of the API key that makes this request; with a token, or a key without expiry, the new key does not expire.',
      }),
      scopes: scopesField.optional().meta({
        description: `What the key may do: each operation needs one scope. Defaults to the scopes of the API key that makes this request; with a token, or a key without that limit, to all.`,
      }),
      instanceId: idField('inst').optional().meta({
        description:
          'The only instance that the key can use. Requests about the whole account fail with 403. Defaults to all instances.',
      }),
    })
    .meta({ example: { name: 'support-site', scopes: ['read', 'messages'] } }),
  success: {
    status: 201,
    schema: z.object({
      keyId: idField('key'),
      apiKey: z.string(),
      name: z.string(),
      createdAt: timestamp,
      ...limitFields,
    }),
    credential: true,
  },
  errors: ['not_found'],

  async handle({ body, actor, em, deps }) {
    const createdAt = deps.clock();
    await lockAccount(em, actor.accountId);
    requireFuture('expiresAt', body.expiresAt, createdAt);
    const maker = actor.keyId === null ? null : await em.findOneOrFail(ApiKey, actor.keyId);
    const latest = maker?.expiresAt ?? null;
    const expiresAt = body.expiresAt ?? latest;
    if (latest && expiresAt && expiresAt > latest)
      throw new AppError(
        'forbidden',
        `Your key expires at ${latest.toISOString()}, and a key that it creates must not last longer. Give an earlier expiresAt, or log in.`,
      );
    const limits = await limitsOfNew(em, actor, body);
    const keyId = deps.makeId('key');
    const { key, ...stored } = makeApiKey(deps.randomBytes);
    const { name } = body;
    const { scopes, instanceId: instance } = limits;
    em.create(ApiKey, { ...stored, id: keyId, account: actor.accountId, name, createdAt, expiresAt, scopes, instance });
    return {
      keyId,
      apiKey: key,
      name,
      createdAt: createdAt.toISOString(),
      ...presentLimits({ expiresAt, scopes, instance }),
    };
  },
  auditSubject: ({ keyId }) => ({ target: keyId }),
});

interface WantedLimits {
  scopes?: KeyScope[] | undefined;
  instanceId?: string | undefined;
}

/** The limits of a key that this caller creates. Throws `forbidden` for more than the caller's own, `not_found`. */
async function limitsOfNew(em: EntityManager, { accountId, limits }: AccountActor, wanted: WantedLimits): Promise<KeyLimits> {
  const missing = wanted.scopes?.filter((scope) => !hasScope(limits, scope)) ?? [];
  if (missing.length > 0)
    throw new AppError(
      'forbidden',
      `Your key does not have the scopes ${missing.join(', ')}, and a key that it creates must not have more. Leave them out, or log in.`,
    );
  if (wanted.instanceId !== undefined) await findInstance(em, { accountId, instanceId: wanted.instanceId });
  return { scopes: wanted.scopes ?? limits.scopes, instanceId: wanted.instanceId ?? limits.instanceId };
}
