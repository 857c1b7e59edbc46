import { z } from 'zod';
import { Account } from '../../../database/entities/account.ts';
import { Instance } from '../../../database/entities/instance.ts';
import { UnownedRuntime } from '../../../database/entities/unowned-runtime.ts';
import { takeUnowned } from '../../../database/queries/unowned-runtimes.ts';
import { AppError } from '../../../domain/errors.ts';
import { defineOperation } from '../../define-operation.ts';
import { idField, nameField } from '../../fields.ts';
import { newShard } from '../instances/create-instance.ts';
import { operatorInstance, presentForOperator } from './operator-instance.ts';
import { noSuchRuntime, runtimeParams } from './quarantine.schema.ts';

export const restoreQuarantined = defineOperation({
  method: 'POST',
  path: '/admin/quarantine/:runtimeId/restore',
  operationId: 'quarantine.restore',
  summary: 'Give storage that no instance owns to an account',
  description:
    'Makes a stopped instance that owns the storage; a sweep puts the storage back within about a minute, and so does a start. ' +
    'The instance has no agents: their files lie in the storage. When a restored database knows the runtime, nothing is to be done: a sweep puts it back.',
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
      throw new AppError('conflict', 'The storage of this runtime is being deleted, so it cannot be given to an account.');
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
    const [view] = await presentForOperator(em, [instance]);
    if (!view) throw new AppError('not_found', 'Instance not found');
    return view;
  },
  auditSubject: ({ instanceId, accountId, runtimeId }) => ({ target: runtimeId, instanceId, accountId }),
});
