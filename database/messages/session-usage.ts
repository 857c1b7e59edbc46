import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { ClaudeSession } from '../entities/claude-session.ts';
import { Conversation } from '../entities/conversation.ts';
import { Message } from '../entities/message.ts';
import { ModelCall } from '../entities/model-call.ts';
import { fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { anyOf, asNumber, sql } from '../sql.ts';

const s = columns(ClaudeSession, 's');
const c = columns(Conversation, 'c');
const reply = columns(Message, 'reply');

const sumOf = (name: 'input' | 'output' | 'cached') => asNumber(sql<bigint>`coalesce(sum(${sql.id('usage', name)}), 0)`);

const FIELDS = {
  sessionId: s.id,
  isRunning: sql<boolean>`coalesce(bool_or(${reply.status} = 'pending'), false)`,
  inputTokens: sumOf('input'),
  outputTokens: sumOf('output'),
  cacheReadTokens: sumOf('cached'),
};

/** What a session of Claude Managed Agents shows of its conversation. */
export type SessionState = RowOf<typeof FIELDS>;

/** The state of the conversations of these sessions, by their id. */
export async function findSessionStates(em: EntityManager, sessionIds: readonly string[]): Promise<Map<string, SessionState>> {
  const call = columns(ModelCall);
  const sums = sql`sum(${call.inputTokens}) as input, sum(${call.outputTokens}) as output, sum(${call.cacheReadTokens}) as cached`;
  const rows = await fetchRows(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields}
        from claude_sessions s
        left join conversations c on ${c.agent} = ${s.agent} and ${c.sessionId} = ${s.id} and ${c.deletedAt} is null
        left join messages reply on ${reply.conversation} = ${c.id} and ${reply.role} = 'agent'
        left join lateral (select ${sums} from model_calls where ${call.message} = ${reply.id}) usage on true
       where ${s.id} = ${anyOf(sessionIds)} group by ${s.id}`,
  );
  return new Map(rows.map((row) => [row.sessionId, row]));
}
