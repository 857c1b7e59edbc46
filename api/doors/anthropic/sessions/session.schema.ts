import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import type { ClaudeSession } from '../../../../database/entities/claude-session.ts';
import { findSessionStates } from '../../../../database/messages/session-usage.ts';
import type { SessionState } from '../../../../database/messages/session-usage.ts';
import { presentDefinition, sessionAgentSchema } from '../agents/claude-agent.schema.ts';
import { environmentId } from '../ids.ts';
import { budgetSchema, findSessionBudgets } from './session-budget.ts';
import type { PresentedBudget } from './session-budget.ts';

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
  budget: budgetSchema,
  outcome_evaluations: z.array(z.never()),
  usage: z.object({ input_tokens: z.int(), output_tokens: z.int(), cache_read_input_tokens: z.int() }),
  stats: z.object({}),
  created_at: z.string(),
  updated_at: z.string(),
  archived_at: z.string().nullable(),
});

/** Sessions as they are now, in this order. */
export async function presentSessions(
  em: EntityManager,
  sessions: readonly ClaudeSession[],
): Promise<z.input<typeof sessionSchema>[]> {
  const ids = sessions.map(({ id }) => id);
  const states = await findSessionStates(em, ids);
  const budgets = await findSessionBudgets(em, sessions);
  return sessions.map((session) => sessionOf(session, states.get(session.id), budgets.get(session.id) ?? null));
}

/** A session as it is now. */
export async function presentSession(em: EntityManager, session: ClaudeSession): Promise<z.input<typeof sessionSchema>> {
  const [presented] = await presentSessions(em, [session]);
  if (!presented) throw new Error('one session is presented as one');
  return presented;
}

/** One that has not begun and has nothing to begin with is idle. */
function sessionOf(
  session: ClaudeSession,
  state: SessionState | undefined,
  budget: PresentedBudget,
): z.input<typeof sessionSchema> {
  const { id, instance, fields, createdAt, updatedAt, archivedAt } = session;
  const { agent, title, metadata, initial } = fields;
  return {
    ...{ id, type: 'session', status: state?.isRunning || initial ? 'running' : 'idle' },
    agent: presentDefinition(agent.id, agent.version, agent),
    environment_id: environmentId(instance),
    ...{ title, metadata, resources: [], vault_ids: [], budget, outcome_evaluations: [] },
    usage: {
      input_tokens: state?.inputTokens ?? 0,
      output_tokens: state?.outputTokens ?? 0,
      cache_read_input_tokens: state?.cacheReadTokens ?? 0,
    },
    stats: {},
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    archived_at: archivedAt?.toISOString() ?? null,
  };
}
