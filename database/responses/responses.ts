import type { EntityManager } from '@mikro-orm/postgresql';
import type { ResponseRequest } from '../entities/response.ts';
import { db } from '../db.ts';

interface NewResponse {
  messageId: string;
  accountId: string;
  request: ResponseRequest;
  now: Date;
}

/** Stores the fields of a request that its answers repeat, in the transaction that accepts its message. */
export async function storeResponse(em: EntityManager, { messageId, accountId, request, now }: NewResponse): Promise<void> {
  await db(em).insertInto('Response').values({ message: messageId, account: accountId, request, createdAt: now }).execute();
}

export interface StoredResponse {
  request: ResponseRequest;
  isDeleted: boolean;
}

/** The stored request of this reply; null when its message was not sent through the Responses API. */
export async function findResponse(em: EntityManager, messageId: string): Promise<StoredResponse | null> {
  const response = await db(em)
    .selectFrom('Response')
    .select(['request', 'deletedAt'])
    .where('message', '=', messageId)
    .executeTakeFirst();
  return response ? { request: response.request, isDeleted: response.deletedAt !== null } : null;
}

/** Marks a response as deleted. It can be repeated. */
export async function hideResponse(em: EntityManager, { messageId, accountId, request, now }: NewResponse): Promise<void> {
  await db(em)
    .insertInto('Response')
    .values({ message: messageId, account: accountId, request, createdAt: now, deletedAt: now })
    .onConflict((conflict) =>
      conflict.column('message').doUpdateSet((eb) => ({ deletedAt: eb.fn.coalesce('Response.deletedAt', 'excluded.deletedAt') })),
    )
    .execute();
}
