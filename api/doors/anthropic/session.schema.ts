import { z } from 'zod';
import type { ClaudeSession } from '../../../database/entities/claude-session.ts';
import type { SessionState } from '../../../database/messages/session-usage.ts';
import { presentDefinition, sessionAgentSchema } from './claude-agent.schema.ts';
import { environmentId } from './ids.ts';

export const sessionSchema = z.object({
  id: z.string(),
  type: z.literal('session'),
  status: z.enum(['running', 'idle']),
  agent: sessionAgentSchema,
  environment_id: z.string(),
  title: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  resources: z.array(z.never()),
  vault_ids: z.array(z.never()),
  budget: z.null(),
  outcome_evaluations: z.array(z.never()),
  usage: z.object({ input_tokens: z.int(), output_tokens: z.int(), cache_read_input_tokens: z.int() }),
  stats: z.object({}),
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.null(),
});

/** A session with the state of its conversation; one that has not begun is idle. */
export function presentSession(session: ClaudeSession, state: SessionState | undefined): z.input<typeof sessionSchema> {
  const { id, instance, fields, createdAt, updatedAt } = session;
  const { agent, title, metadata } = fields;
  return {
    ...{ id, type: 'session', status: state?.isRunning ? 'running' : 'idle' },
    agent: presentDefinition(agent.id, agent.version, agent),
    environment_id: environmentId(instance),
    ...{ title, metadata, resources: [], vault_ids: [], budget: null, outcome_evaluations: [] },
    usage: {
      input_tokens: state?.inputTokens ?? 0,
      output_tokens: state?.outputTokens ?? 0,
      cache_read_input_tokens: state?.cacheReadTokens ?? 0,
    },
    stats: {},
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    archived_at: null,
  };
}
