import type { EntityManager } from '@mikro-orm/postgresql';
import { CONTENT_FILTER } from '../../domain/turn.ts';
import { query, sql } from '../sql.ts';

/** Whether the content filter of the model provider kept back the last answer of this turn, or refused its prompt. */
export async function wasFiltered(em: EntityManager, messageId: string): Promise<boolean> {
  const [last] = await query<{ finishReason: string | null }>(
    em,
    sql`select finish_reason as "finishReason" from model_calls where message_id = ${messageId} order by id desc limit 1`,
  );
  return last?.finishReason === CONTENT_FILTER;
}
