import { z } from 'zod';
import { revokeKey as revoke } from '../../../database/accounts/api-keys.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField } from '../../contract/fields.ts';

export const revokeKey = defineOperation({
  method: 'DELETE',
  path: '/auth/keys/:keyId',
  operationId: 'keys.revoke',
  summary: 'Revoke an API key',
  description: 'The API rejects the key from this moment on.',
  tag: 'auth',
  auth: 'account',
  scope: 'keys',
  audit: 'keys.revoke',
  rateLimit: 'account',
  idempotent: true,
  params: z.object({ keyId: idField('key') }),
  success: { status: 200, schema: z.object({ keyId: idField('key'), deleted: z.literal(true) }) },
  errors: [],

  async handle({ params, actor, em, deps }) {
    if (!(await revoke(em, actor.accountId, params.keyId, deps.clock()))) throw new AppError('not_found', 'Key not found');
    return { keyId: params.keyId, deleted: true as const };
  },
});
