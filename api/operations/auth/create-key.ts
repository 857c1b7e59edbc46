import { z } from 'zod';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { AppError } from '../../../domain/errors.ts';
import { makeApiKey } from '../../security/api-key.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { givenTime, idField, nameField, requireFuture, timestamp } from '../../contract/fields.ts';

export const createKey = defineOperation({
  method: 'POST',
  path: '/auth/keys',
  operationId: 'keys.create',
  summary: 'Create an API key',
  description: 'The response is the only place that shows the key. Store the key securely.',
  tag: 'auth',
  auth: 'account',
  audit: 'keys.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({
    name: nameField,
    expiresAt: givenTime.optional().meta({
      description:
        'When the key expires. Defaults to the expiry of the API key that makes this request; with a token, or a key without expiry, the new key does not expire.',
    }),
  }),
  success: {
    status: 201,
    schema: z.object({
      keyId: idField('key'),
      apiKey: z.string(),
      name: z.string(),
      createdAt: timestamp,
      expiresAt: timestamp.nullable(),
    }),
    credential: true,
  },
  errors: ['forbidden'],

  async handle({ body, actor, em, deps }) {
    const createdAt = deps.clock();
    requireFuture('expiresAt', body.expiresAt, createdAt);
    const maker = actor.keyId === null ? null : await em.findOneOrFail(ApiKey, actor.keyId);
    const latest = maker?.expiresAt ?? null;
    const expiresAt = body.expiresAt ?? latest;
    if (latest && expiresAt && expiresAt > latest)
      throw new AppError(
        'forbidden',
        `Your key expires at ${latest.toISOString()}, and a key that it creates must not last longer. Give an earlier expiresAt, or log in.`,
      );
    const keyId = deps.makeId('key');
    const { key, ...stored } = makeApiKey(deps.randomBytes);
    const { name } = body;
    em.create(ApiKey, { ...stored, id: keyId, account: actor.accountId, name, createdAt, expiresAt });
    return {
      keyId,
      apiKey: key,
      name,
      createdAt: createdAt.toISOString(),
      expiresAt: expiresAt?.toISOString() ?? null,
    };
  },
  auditSubject: ({ keyId }) => ({ target: keyId }),
});
