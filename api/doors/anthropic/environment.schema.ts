import { z } from 'zod';
import type { Instance } from '../../../database/entities/instance.ts';
import type { ClaudeEnvironmentFields } from '../../../domain/claude-agents.ts';
import { environmentId } from './ids.ts';

export const environmentSchema = z.object({
  id: z.string(),
  type: z.literal('environment'),
  name: z.string(),
  description: z.string().nullable(),
  config: z.record(z.string(), z.unknown()),
  metadata: z.record(z.string(), z.string()),
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.null(),
});

const NO_PACKAGES = { apt: [], cargo: [], gem: [], go: [], npm: [], pip: [] };

/** What an instance says of itself that was not made by this door. */
export const PLAIN_FIELDS: ClaudeEnvironmentFields = {
  config: { type: 'cloud', networking: { type: 'unrestricted' }, packages: NO_PACKAGES },
  description: null,
};

/** An instance as an environment, with what its client said of it, if it has said anything. */
export function presentEnvironment(
  { id, name, metadata, createdAt }: Pick<Instance, 'id' | 'name' | 'metadata' | 'createdAt'>,
  kept: { fields: ClaudeEnvironmentFields; updatedAt: Date } | undefined,
): z.input<typeof environmentSchema> {
  const { config, description } = kept?.fields ?? PLAIN_FIELDS;
  return {
    ...{ id: environmentId(id), type: 'environment', name, description, config, metadata },
    created_at: createdAt.toISOString(),
    updated_at: (kept?.updatedAt ?? createdAt).toISOString(),
    archived_at: null,
  };
}
