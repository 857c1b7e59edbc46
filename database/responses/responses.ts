import type { EntityManager } from '@mikro-orm/postgresql';
import type { ResponseRequest } from '../entities/response.ts';
import { query, run, sql } from '../sql.ts';

interface NewResponse {
  messageId: string;
  accountId: string;
  request: ResponseRequest;
  now: Date;
}

/** Stores the fields of a request that its answers repeat, in the transaction that accepts its message. */
export async function storeResponse(em: EntityManager, { messageId, accountId, request, now }: NewResponse): Promise<void> {
  await run(
    em,
    sql`insert into responses (message_id, account_id, request, created_at)
        values (${messageId}, ${accountId}, ${JSON.stringify(request)}::jsonb, ${now})`,
  );
}

export interface StoredResponse {
  request: ResponseRequest;
  isDeleted: boolean;
}

/** The stored request of this reply; null when its message was not sent through the Responses API. */
export async function findResponse(em: EntityManager, messageId: string): Promise<StoredResponse | null> {
  const [row] = await query<StoredResponse>(
    em,
    sql`select request, deleted_at is not null as "isDeleted" from responses where message_id = ${messageId}`,
  );
  return row ?? null;
}

/** Marks a response as deleted. It can be repeated. */
export async function hideResponse(em: EntityManager, { messageId, accountId, request, now }: NewResponse): Promise<void> {
  await run(
    em,
    sql`insert into responses (message_id, account_id, request, created_at, deleted_at)
        values (${messageId}, ${accountId}, ${JSON.stringify(request)}::jsonb, ${now}, ${now})
        on conflict (message_id) do update set deleted_at = coalesce(responses.deleted_at, excluded.deleted_at)`,
  );
}
