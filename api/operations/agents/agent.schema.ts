import { z } from 'zod';
import type { Agent } from '../../../database/entities/agent.ts';
import { slugProblem } from '../../../domain/agents/slug.ts';
import { metadataField } from '../../contract/metadata.ts';
import { idField, timestamp } from '../../contract/fields.ts';
import { agentStatus, instanceParams } from '../instances/instance.schema.ts';

export const agentParams = instanceParams.extend({ agentId: idField('agt') });

const facts = {
  agentId: idField('agt'),
  name: z.string(),
  slug: z.string(),
  displayName: z.string(),
  model: z.string(),
  status: agentStatus.meta({
    description:
      '`pending` until the gateway has loaded the agent or its latest change. On an instance that is not running, that happens at the next start.',
  }),
  metadata: metadataField,
  createdAt: timestamp,
};

export const agentSchema = z.object(facts).meta({ id: 'Agent' });

export const agentWithFiles = z
  .object({
    ...facts,
    files: z.record(z.string(), z.string()).meta({ description: 'The workspace files of the agent: contents by relative path.' }),
  })
  .meta({ id: 'AgentWithFiles' });

export const slugField = z
  .string()
  .superRefine((slug, context) => {
    const problem = slugProblem(slug);
    if (problem !== null) context.addIssue(problem);
  })
  .meta({
    description:
      'The name of the agent in URLs and events, unique within the instance: 2 to 32 lower-case letters, digits and single hyphens.',
    example: 'support-bot',
  });

/** An agent as its customer sees it. */
export function presentAgent({
  id,
  name,
  slug,
  displayName,
  model,
  status,
  metadata,
  createdAt,
}: Agent): z.input<typeof agentSchema> {
  return { agentId: id, name, slug, displayName, model, status, metadata, createdAt: createdAt.toISOString() };
}
