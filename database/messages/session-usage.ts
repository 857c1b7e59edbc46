import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** What a session of Claude Managed Agents shows of its conversation. */
export interface SessionState {
  sessionId: string;
  isRunning: boolean;
  inputTokens: number;
  outputTokens: number;
  cacheReadTokens: number;
}

/** The state of the conversations of these sessions, by their id. */
export async function findSessionStates(em: EntityManager, sessionIds: readonly string[]): Promise<Map<string, SessionState>> {
  const rows = await query<SessionState>(
    em,
    sql`select s.id as "sessionId", coalesce(bool_or(reply.status = 'pending'), false) as "isRunning",
               coalesce(sum(usage.input), 0)::float8 as "inputTokens", coalesce(sum(usage.output), 0)::float8 as "outputTokens",
               coalesce(sum(usage.cached), 0)::float8 as "cacheReadTokens"
          from claude_sessions s
          left join conversations c on c.agent_id = s.agent_id and c.session_id = s.id and c.deleted_at is null
          left join messages reply on reply.conversation_id = c.id and reply.role = 'agent'
          left join lateral (select sum(input_tokens) as input, sum(output_tokens) as output, sum(cache_read_tokens) as cached
                               from model_calls where message_id = reply.id) usage on true
         where s.id in (select jsonb_array_elements_text(${JSON.stringify(sessionIds)}::jsonb))
         group by s.id`,
  );
  return new Map(rows.map((row) => [row.sessionId, row]));
}
