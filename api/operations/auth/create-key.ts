import { z } from 'zod';
import { ApiKey } from '../../../database/entities/api-key.ts';
import { makeApiKey } from '../../api-key.ts';
import { defineOperation } from '../../define-operation.ts';
import { givenTime, idField, nameField, requireFuture, timestamp } from '../../fields.ts';

export const createKey = defineOperation({
  method: 'POST',
  path: '/auth/keys',
  operationId: 'keys.create',
  summary: 'Create an API key',
  description: 'The key is shown in this answer only. Store it securely.',
  tag: 'auth',
  auth: 'account',
  audit: 'keys.create',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  body: z.object({
    name: nameField,
    expiresAt: givenTime.optional().meta({ description: 'When it stops working; never, if left out.' }),
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
  errors: [],

  async handle({ body, actor, em, deps }) {
    const createdAt = deps.clock();
    requireFuture('expiresAt', body.expiresAt, createdAt);
    const keyId = deps.makeId('key');
    const { key, ...stored } = makeApiKey(deps.randomBytes);
    const { name, expiresAt = null } = body;
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
