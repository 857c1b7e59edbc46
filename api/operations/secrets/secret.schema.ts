import { z } from 'zod';
import { MAX_SECRETS, SECRET_KEY, secretKeyProblem, secretValueProblem } from '../../../domain/agents/secrets.ts';
import { instanceParams } from '../instances/instance.schema.ts';

export const secretParams = instanceParams.extend({ key: z.string().regex(SECRET_KEY).meta({ example: 'SLACK_TOKEN' }) });

const keyField = z
  .string()
  .superRefine((key, context) => {
    const problem = secretKeyProblem(key);
    if (problem !== null) context.addIssue(problem);
  })
  .meta({ override: { pattern: SECRET_KEY.source } });

const valueField = z
  .string()
  .superRefine((value, context) => {
    const problem = secretValueProblem(value);
    if (problem !== null) context.addIssue(problem);
  })
  .meta({ override: { minLength: 1 } });

/** Values by key. What is wrong is said without repeating a value. */
export const secretsField = z
  .record(keyField, valueField)
  .refine((secrets) => Object.keys(secrets).length > 0, 'Give at least one secret.')
  .meta({
    description:
      'Secret values by key. Each value has 1 byte to 64 KiB; the keys and values of an instance have at most 1 MiB in total. The secrets become environment variables of the instance, and the API never returns their values.',
    example: { SLACK_TOKEN: 'xoxb-...' },
    override: { minProperties: 1, maxProperties: MAX_SECRETS },
  });

export const restarting = z.boolean().meta({
  description: 'Whether the instance restarts now to apply the change. When `false`, the change applies at the next start.',
});
