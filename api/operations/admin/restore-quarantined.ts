import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { Instance } from '../../../database/entities/instance.ts';
import { UnownedRuntime } from '../../../database/entities/unowned-runtime.ts';
import { takeUnowned } from '../../../database/stores/unowned-runtimes.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { idField, nameField } from '../../contract/fields.ts';
import { newShard } from '../instances/add-instance.ts';
import { operatorInstance, presentForOperator } from './operator-instance.ts';
import { noSuchRuntime, runtimeParams } from './quarantine.schema.ts';

export const restoreQuarantined = defineOperation({
  method: 'POST',
  path: '/admin/quarantine/:runtimeId/restore',
  operationId: 'quarantine.restore',
  summary: 'Restore unowned storage as an instance of an account',
  description:
    'Creates a stopped instance that owns the storage. The next sweep, within about a minute, moves the storage out of the quarantine, and so does a start. ' +
    'The new instance has no agents; the files of the former agents remain in its storage. A runtime that belongs to an instance in a restored database needs no call: the next sweep restores it.',
  tag: 'operator',
  auth: 'operator',
  audit: 'quarantine.restore',
  rateLimit: 'none',
  idempotent: true,
  params: runtimeParams,
  body: z.object({ accountId: idField('acc'), name: nameField }),
  success: { status: 201, schema: operatorInstance },
  errors: ['conflict'],

  async load({ params, em }) {
    if ((await em.count(UnownedRuntime, { runtimeId: params.runtimeId })) === 0) throw noSuchRuntime();
  },
  async handle({ params, body, em, deps }) {
    if ((await em.count(Account, { id: body.accountId })) === 0) throw new AppError('not_found', 'Account not found');
    const taken = await takeUnowned(em, params.runtimeId);
    if (taken === 'unknown') throw noSuchRuntime();
    if (taken === 'deleting')
      throw new AppError('conflict', 'The storage of this runtime is being deleted and cannot be restored.');
    const now = deps.clock();
    const instance = em.create(Instance, {
      id: deps.makeId('inst'),
      account: body.accountId,
      name: body.name,
      runtimeId: params.runtimeId,
      createdAt: now,
      desiredStatus: 'stopped',
      status: 'stopped',
      transitionKind: null,
      transitionStartedAt: null,
      transitionStep: null,
      stoppedAt: now,
      shard: newShard(deps.randomBytes),
    });
    await em.flush();
    const [view] = await presentForOperator(em, [instance], deps.config);
    if (!view) throw new AppError('not_found', 'Instance not found');
    return view;
  },
  auditSubject: ({ instanceId, accountId, runtimeId }) => ({ target: runtimeId, instanceId, accountId }),
});
