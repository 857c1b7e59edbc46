import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { InstanceSkill } from '../../../database/entities/instance-skill.ts';
import { SkillFile } from '../../../database/entities/skill-file.ts';
import { AppError } from '../../../domain/errors.ts';
import { MAX_SKILLS } from '../../../domain/agents/skills.ts';
import { changeContent } from '../../change-content.ts';
import { defineOperation } from '../../contract/define-operation.ts';
import { findInstance } from '../../find-instance.ts';
import { awaitApplied } from '../agents/await-applied.ts';
import { instanceParams } from '../instances/instance.schema.ts';
import { bundledSkills } from './bundled-skills.ts';
import type { NewSkill } from './new-skill.ts';
import { presentSkill, skillNameField, skillSchema } from './skill.schema.ts';

/** 5 MiB of files, in JSON: quotes and line ends take two bytes there, any other letter up to three times its own. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

export const installSkill = defineOperation({
  method: 'POST',
  path: '/instances/:instanceId/skills',
  operationId: 'skills.install',
  summary: 'Install a built-in skill, or upload a custom skill',
  description:
    'All agents of the instance share the skill. On a running instance, the call returns once the next turn can use the skill. Otherwise the skill is applied at the next start.',
  tag: 'skills',
  auth: 'account',
  scope: 'write',
  audit: 'skills.install',
  rateLimit: 'account',
  idempotent: true,
  stores: true,
  bodyLimitBytes: BODY_LIMIT_BYTES,
  params: instanceParams,
  body: z.object({
    name: skillNameField.meta({ description: 'The name of the skill. For a built-in skill, its `id` in `GET /skills`.' }),
    type: z
      .enum(['built-in', 'custom'])
      .optional()
      .meta({ description: 'The type of the skill. Defaults to `custom` when `files` are given, otherwise to `built-in`.' }),
    description: z
      .string()
      .trim()
      .min(1)
      .max(1_024)
      .optional()
      .meta({ description: 'The description of a custom skill. A description in its SKILL.md takes precedence.' }),
    files: z.record(z.string(), z.string()).optional().meta({
      description:
        'The files of a custom skill: contents by relative path. SKILL.md is required. At most 256 files and 5 MiB in total. Files in `scripts/` and files that begin with `#!` are executable.',
    }),
  }),
  success: { status: 201, schema: skillSchema },
  errors: ['conflict', 'unavailable'],

  async load({ params, actor, em }) {
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
  },
  async before({ params, body, actor, em, deps }) {
    // A missing instance is 404 before problems of the files are reported.
    await findInstance(em, { accountId: actor.accountId, instanceId: params.instanceId });
    // Imported when it is needed: the YAML parser takes three megabytes, and few processes need it.
    const [catalogue, { chooseBuiltIn, makeCustom }] = await Promise.all([bundledSkills(deps), import('./new-skill.ts')]);
    return body.files === undefined ? chooseBuiltIn(catalogue, body) : makeCustom(catalogue, { ...body, files: body.files });
  },
  async handle({ params, body, actor, em, deps, prepared: skill }) {
    const { instanceId } = params;
    const { accountId } = actor;
    const generation = await changeContent(em, { accountId, instanceId });
    await requireRoom(em, instanceId, body.name);
    await insertSkill(em, skill, { id: deps.makeId('skl'), instanceId, generation, now: deps.clock() });
    return { accountId, instanceId, generation, name: body.name };
  },
  auditSubject: ({ instanceId, name }) => ({ target: name, instanceId }),

  async after({ accountId, instanceId, generation, name }, { em, deps, signal }) {
    await awaitApplied(deps, { instanceId, generation }, signal);
    await findInstance(em, { accountId, instanceId });
    const skill = await em.findOne(InstanceSkill, { instance: instanceId, name }, { refresh: true });
    if (!skill)
      throw new AppError('not_found', 'The skill was deleted before the instance had loaded it. Install the skill again.');
    return presentSkill(skill);
  },
});

async function requireRoom(em: EntityManager, instanceId: string, name: string): Promise<void> {
  if ((await em.count(InstanceSkill, { instance: instanceId, name })) > 0)
    throw new AppError('conflict', `A skill with the name ${name} is already installed on this instance. Delete it first.`);
  if ((await em.count(InstanceSkill, { instance: instanceId })) >= MAX_SKILLS)
    throw new AppError('conflict', `An instance can have at most ${MAX_SKILLS} skills. Delete a skill first.`);
}

interface Placing {
  id: string;
  instanceId: string;
  generation: number;
  now: Date;
}

async function insertSkill(
  em: EntityManager,
  { files, ...facts }: NewSkill,
  { id, instanceId, generation, now }: Placing,
): Promise<void> {
  em.create(InstanceSkill, { ...facts, id, instance: instanceId, status: 'pending', generation, createdAt: now });
  await em.flush();
  for (const [path, content] of files) em.create(SkillFile, { skill: id, path, content });
  await em.flush();
}
