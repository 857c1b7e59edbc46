import { z } from 'zod';
import { InstanceSkill } from '../../../database/entities/instance-skill.ts';
import { MAX_SKILL_NAME_LENGTH, MAX_SKILLS, SKILL_NAME } from '../../../domain/agents/skills.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { nextCursor, paginate } from '../../contract/pagination.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { presentSkill, skillSchema } from './skill.schema.ts';

const pages = paginate('skills', z.string().regex(SKILL_NAME).max(MAX_SKILL_NAME_LENGTH), {
  defaultLimit: MAX_SKILLS,
  maxLimit: MAX_SKILLS,
});

export const listSkills = defineOperation({
  method: 'GET',
  path: '/instances/:instanceId/skills',
  operationId: 'skills.list',
  summary: 'List the skills installed on an instance, sorted by name',
  tag: 'skills',
  auth: 'account',
  scope: 'read',
  audit: 'none',
  rateLimit: 'account',
  idempotent: false,
  params: instanceParams,
  query: z.object(pages.fields),
  success: { status: 200, schema: z.object({ skills: z.array(skillSchema), nextCursor }) },
  errors: [],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async handle({ params, query, em }) {
    const { limit, cursor } = query;
    const rows = await em.find(
      InstanceSkill,
      { instance: params.instanceId, ...(cursor === undefined ? {} : { name: { $gt: cursor } }) },
      { orderBy: { name: 'asc' }, limit: limit + 1 },
    );
    const page = pages.page(rows, limit, ({ name }) => name);
    return { skills: page.items.map(presentSkill), nextCursor: page.nextCursor };
  },
});
