import { z } from 'zod';
import type { InstanceSkill } from '../../../database/entities/instance-skill.ts';
import { MAX_SKILL_NAME_LENGTH, SKILL_NAME } from '../../../domain/agents/skills.ts';
import { instanceParams } from '../instances/instance.schema.ts';

export const skillNameField = z
  .string()
  .max(MAX_SKILL_NAME_LENGTH)
  .regex(SKILL_NAME, 'Use lower-case letters, digits and single hyphens.')
  .meta({ example: 'my-skill' });

export const skillParams = instanceParams.extend({ name: skillNameField });

export const skillSchema = z
  .object({
    name: z.string(),
    type: z.enum(['built-in', 'custom']),
    description: z.string(),
    status: z.enum(['pending', 'active', 'error']).meta({
      description:
        '`pending` until the gateway has loaded the skill. On an instance that is not running, that happens at the next start.',
    }),
  })
  .meta({ id: 'InstalledSkill' });

/** A skill of an instance as its customer sees it. */
export function presentSkill({ name, type, description, status }: InstanceSkill): z.input<typeof skillSchema> {
  return { name, type, description, status };
}
