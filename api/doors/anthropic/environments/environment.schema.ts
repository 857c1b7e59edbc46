import { z } from 'zod';
import type { ClaudeEnvironment } from '../../../../database/entities/claude-environment.ts';
import type { Instance } from '../../../../database/entities/instance.ts';
import type { ClaudeEnvironmentFields } from '../../../../domain/agents/claude-agents.ts';
import { environmentId } from '../ids.ts';

export const environmentSchema = z.object({
  id: z.string(),
  type: z.literal('environment'),
  name: z.string(),
  description: z.string().nullable(),
  config: z.record(z.string(), z.unknown()),
  metadata: z.record(z.string(), z.string()),
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.string().nullable(),
});

const WITHOUT_PACKAGES = { apt: [], cargo: [], gem: [], go: [], npm: [], pip: [] };

/** What an instance says of itself that was not made by this door. */
export const PLAIN_FIELDS: ClaudeEnvironmentFields = {
  config: { type: 'cloud', networking: { type: 'unrestricted' }, packages: WITHOUT_PACKAGES },
  description: null,
};

const NOT_LIMITED = 'Must be unrestricted: an environment here has no list of allowed hosts.';
const NO_PACKAGES = 'Packages are not installed for an environment here. Have the agent install them.';

/** The configuration of an environment, with what it has by default. */
export const configField = z
  .looseObject({
    type: z.literal('cloud', 'Must be "cloud": environments here are run for you.'),
    networking: z.looseObject({ type: z.literal('unrestricted', NOT_LIMITED) }).nullish(),
    packages: z
      .record(z.string(), z.unknown())
      .refine((lists) => Object.values(lists).every((list) => !Array.isArray(list) || list.length === 0), NO_PACKAGES)
      .nullish(),
  })
  .transform(({ networking, packages, ...rest }) => ({
    ...PLAIN_FIELDS.config,
    ...rest,
    ...(networking && { networking }),
    ...(packages && { packages }),
  }));

export const descriptionField = z.string().max(2_048).nullish();

/** An instance as an environment, with what its client said of it, if it has said anything. */
export function presentEnvironment(
  { id, name, metadata, createdAt }: Pick<Instance, 'id' | 'name' | 'metadata' | 'createdAt'>,
  kept: Pick<ClaudeEnvironment, 'fields' | 'updatedAt' | 'archivedAt'> | undefined,
): z.input<typeof environmentSchema> {
  const { config, description } = kept?.fields ?? PLAIN_FIELDS;
  return {
    ...{ id: environmentId(id), type: 'environment', name, description, config, metadata },
    created_at: createdAt.toISOString(),
    updated_at: (kept?.updatedAt ?? createdAt).toISOString(),
    archived_at: kept?.archivedAt?.toISOString() ?? null,
  };
}
