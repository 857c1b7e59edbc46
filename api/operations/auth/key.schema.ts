import { z } from 'zod';
import type { ApiKey } from '../../../database/entities/api-key.ts';
import { KEY_SCOPES } from '../../../domain/access/key-scopes.ts';
import { idField, timestamp } from '../../contract/fields.ts';

export const scopesField = z
  .array(z.enum(KEY_SCOPES))
  .min(1, 'Give at least one scope.')
  .transform((scopes) => KEY_SCOPES.filter((scope) => scopes.includes(scope)));

/** What limits a key, as its account sees it. */
export const limitFields = {
  expiresAt: timestamp.nullable().meta({ description: 'When the key expires; `null` when it does not expire.' }),
  scopes: z.array(z.enum(KEY_SCOPES)).meta({
    description:
      'What the key may do: `read` (every GET), `messages` (send and cancel messages), `write` (change instances, agents, files, skills, cron jobs and webhooks), `secrets` and `keys`.',
  }),
  instanceId: idField('inst')
    .nullable()
    .meta({ description: 'The only instance that the key can use; `null` for all instances.' }),
};

export function presentLimits({ expiresAt, scopes, instance }: Pick<ApiKey, 'expiresAt' | 'scopes' | 'instance'>) {
  return { expiresAt: expiresAt?.toISOString() ?? null, scopes: [...(scopes ?? KEY_SCOPES)], instanceId: instance };
}
