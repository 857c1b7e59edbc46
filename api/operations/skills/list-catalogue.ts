import { z } from 'zod';
import { defineOperation } from '../../contract/define-operation.ts';
import { bundledSkills } from './bundled-skills.ts';

const names = z.array(z.string());

export const listCatalogue = defineOperation({
  method: 'GET',
  path: '/skills',
  operationId: 'skills.catalogue',
  summary: 'List the built-in skills',
  tag: 'skills',
  auth: 'public',
  audit: 'none',
  rateLimit: 'none',
  idempotent: false,
  success: {
    status: 200,
    schema: z.array(
      z
        .object({
          id: z.string().meta({ example: 'weather', description: 'The name with which to install the skill.' }),
          name: z.string().meta({ example: 'Weather' }),
          description: z.string().meta({ description: 'What the skill does.' }),
          type: z.literal('built-in'),
          requirements: z.object({ bins: names, anyBins: names, env: names, config: names, os: names }).meta({
            description:
              'What the skill requires: programs (all of `bins` and one of `anyBins`), environment variables (`env`, stored as secrets), OpenClaw settings (`config`) and operating systems (`os`).',
          }),
          missing: z
            .object({ bins: names, anyBins: names, config: names, os: names })
            .meta({ description: 'The requirements that this platform does not meet.' }),
          supported: z.boolean().meta({
            description: 'Whether the skill works on this platform once its environment variables are stored as secrets.',
          }),
        })
        .meta({ id: 'BuiltInSkill' }),
    ),
  },
  errors: ['unavailable'],

  async handle({ deps }) {
    const skills = await bundledSkills(deps);
    return skills.map((skill) => ({ ...skill, type: 'built-in' as const }));
  },
});
