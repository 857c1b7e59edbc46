import { z } from 'zod';
import { defineOperation } from '../../define-operation.ts';
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
          id: z.string().meta({ example: 'weather', description: 'What to install it by.' }),
          name: z.string().meta({ example: 'Weather' }),
          description: z.string(),
          type: z.literal('built-in'),
          requirements: z.object({ bins: names, anyBins: names, env: names, config: names, os: names }).meta({
            description:
              'Programs (all of `bins`, one of `anyBins`), variables (stored as secrets), settings and systems that it needs.',
          }),
          missing: z
            .object({ bins: names, anyBins: names, config: names, os: names })
            .meta({ description: 'What of it this platform lacks.' }),
          supported: z.boolean().meta({ description: 'Whether it works here, once its variables are stored as secrets.' }),
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
