import { z } from 'zod';
import type { AgentEntry } from '../../../../database/content/find-agent-place.ts';

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  /** In seconds. */
  created: z.int(),
  owned_by: z.string(),
  /** For people; OpenAI has no such field. */
  name: z.string(),
});

/** An agent as a model. */
export function presentModel({ agentId, instanceId, displayName, createdAtMs }: AgentEntry): z.input<typeof modelSchema> {
  const created = Math.floor(createdAtMs / 1000);
  return { id: agentId, object: 'model', created, owned_by: instanceId, name: displayName };
}
