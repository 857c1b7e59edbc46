import type { EntityManager } from '@mikro-orm/postgresql';
import { CONTENT_FILTER } from '../../domain/turn.ts';

/** Whether the content filter of the model provider kept back the last answer of this turn, or refused its prompt. */
export async function wasFiltered(em: EntityManager, messageId: string): Promise<boolean> {
  const [last] = await em.execute<{ finishReason: string | null }[]>(
    'select finish_reason as "finishReason" from model_calls where message_id = ? order by id desc limit 1',
    [messageId],
  );
  return last?.finishReason === CONTENT_FILTER;
}
