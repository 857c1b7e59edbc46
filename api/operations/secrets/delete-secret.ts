import { z } from 'zod';
import { requestRestart } from '../../../database/instances/lifecycle/request-restart.ts';
import { deleteSecret as removeSecret } from '../../../database/content/secrets.ts';
import { AppError } from '../../../domain/errors.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { restarting, secretParams } from './secret.schema.ts';

export const deleteSecret = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/secrets/:key',
  operationId: 'secrets.delete',
  summary: 'Delete a secret',
  description: 'A running instance restarts within seconds without the secret.',
  tag: 'secrets',
  auth: 'account',
  scope: 'secrets',
  audit: 'secrets.delete',
  rateLimit: 'account',
  idempotent: true,
  params: secretParams,
  success: { status: 200, schema: z.object({ key: z.string(), deleted: z.literal(true), restarting }) },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, actor, em, deps }) {
    const { instanceId, key } = params;
    await changeContent(em, { accountId: actor.accountId, instanceId });
    if (!(await removeSecret(em, { instanceId, key }))) throw new AppError('not_found', 'Secret not found');
    return { key, deleted: true as const, restarting: await requestRestart(em, { instanceId, now: deps.clock() }) };
  },
});
