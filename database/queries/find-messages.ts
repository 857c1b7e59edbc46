import type { EntityManager } from '@mikro-orm/postgresql';
import type { FinishReason, TurnFailure, TurnStatus } from '../../domain/turn.ts';

/** One side of a turn with what the API shows of it. */
export interface MessageView {
  id: string;
  role: 'user' | 'agent';
  content: string;
  senderType: string;
  senderId: string;
  senderName: string;
  conversationId: string;
  /** As the client named it; empty for the conversation without a name. */
  sessionId: string;
  number: number;
  createdAt: Date;
  /** The rest is of a reply. */
  status: TurnStatus | null;
  finishReason: FinishReason | null;
  errorReason: TurnFailure | null;
  errorMessage: string | null;
  endedAt: Date | null;
  requestMessageId: string | null;
  inputTokens: number;
  outputTokens: number;
}

type Row = Omit<MessageView, 'createdAt' | 'endedAt'> & { createdAt: Date | string; endedAt: Date | string | null };

const COLUMNS = `
  message.id, message.role, message.content, message.sender_type as "senderType", message.sender_id as "senderId",
  message.sender_name as "senderName", message.conversation_id as "conversationId", conversation.session_id as "sessionId",
  message.number::float8 as number, message.created_at as "createdAt", message.status, message.finish_reason as "finishReason",
  message.error_reason as "errorReason", message.error_message as "errorMessage", message.ended_at as "endedAt", request.id as "requestMessageId",
  usage.input as "inputTokens", usage.output as "outputTokens"`;

const TABLES = `
  messages message
  join conversations conversation on conversation.id = message.conversation_id
  left join messages request on request.conversation_id = message.conversation_id and request.number = message.number
        and request.role = 'user' and message.role = 'agent'
  left join lateral (select coalesce(sum(input_tokens), 0)::float8 as input, coalesce(sum(output_tokens), 0)::float8 as output
                       from model_calls where message_id = message.id and message.role = 'agent') usage on true`;

/** One message of an agent; null when it has no such message. */
export async function findMessage(em: EntityManager, agentId: string, messageId: string): Promise<MessageView | null> {
  const [row] = await em.execute<Row[]>(`select ${COLUMNS} from ${TABLES} where message.id = ? and message.agent_id = ?`, [
    messageId,
    agentId,
  ]);
  return row ? viewOf(row) : null;
}

/** Where a page of history ends: the newest comes first, of one turn the reply. */
export type HistoryPosition = readonly [createdAtMs: number, conversationId: string, number: number, isReply: number];

interface HistoryPage {
  sessionId: string | undefined;
  before: HistoryPosition | undefined;
  limit: number;
}

/** The last messages of an agent, the newest first. */
export async function findHistory(em: EntityManager, agentId: string, page: HistoryPage): Promise<MessageView[]> {
  const { sessionId, before, limit } = page;
  const conditions = ['message.agent_id = ?'];
  const values: unknown[] = [agentId];
  if (sessionId !== undefined) {
    conditions.push('conversation.session_id = ?');
    values.push(sessionId);
  }
  if (before) {
    const [createdAtMs, ...rest] = before;
    conditions.push(
      `(message.created_at, message.conversation_id, message.number, (message.role = 'agent')::int) < (?, ?, ?, ?)`,
    );
    values.push(new Date(createdAtMs), ...rest);
  }
  const rows = await em.execute<Row[]>(
    `select ${COLUMNS} from ${TABLES} where ${conditions.join(' and ')}
      order by message.created_at desc, message.conversation_id desc, message.number desc, (message.role = 'agent')::int desc
      limit ?`,
    [...values, limit],
  );
  return rows.map(viewOf);
}

function viewOf(row: Row): MessageView {
  return { ...row, createdAt: new Date(row.createdAt), endedAt: row.endedAt === null ? null : new Date(row.endedAt) };
}
