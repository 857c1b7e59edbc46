import { z } from 'zod';
import { InstanceSkill } from '../../../database/entities/instance-skill.ts';
import { AppError } from '../../../domain/errors.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { awaitApplied } from '../agents/await-applied.ts';
import { skillParams } from './skill.schema.ts';

export const deleteSkill = defineOperation({
  method: 'DELETE',
  path: '/instances/:instanceId/skills/:name',
  operationId: 'skills.delete',
  summary: 'Remove a skill from an instance',
  description: 'On a running instance, the call returns once the next turn no longer sees the skill.',
  tag: 'skills',
  auth: 'account',
  scope: 'write',
  audit: 'skills.delete',
  rateLimit: 'account',
  idempotent: true,
  params: skillParams,
  success: { status: 200, schema: z.object({ name: z.string(), deleted: z.literal(true) }) },
  errors: ['conflict'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, actor, em }) {
    const { instanceId, name } = params;
    const generation = await changeContent(em, { accountId: actor.accountId, instanceId });
    // Its files go with it.
    if ((await em.nativeDelete(InstanceSkill, { instance: instanceId, name })) === 0)
      throw new AppError('not_found', 'Skill not found');
    return { instanceId, name, generation };
  },

  async after(deleted, { deps, signal }) {
    await awaitApplied(deps, deleted, signal);
    return { name: deleted.name, deleted: true as const };
  },
});
