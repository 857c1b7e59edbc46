import type { EntityManager } from '@mikro-orm/postgresql';
import type { ResponseRequest } from '../entities/response.ts';
import { columns, db, optionalColumns } from '../db.ts';
import { Message } from '../entities/message.ts';
import { Response } from '../entities/response.ts';
import { TURN_PLACE, TURN_PLACED } from '../messages/find-turn-place.ts';
import { fetchPlannedRow, valuesOf } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { runPlanned, sql } from '../sql.ts';

interface NewResponse {
  messageId: string;
  accountId: string;
  request: ResponseRequest;
  now: Date;
}

/** Stores the fields of a request that its answers repeat, in the transaction that accepts its message. */
export async function storeResponse(em: EntityManager, { messageId, accountId, request, now }: NewResponse): Promise<void> {
  const stored = sql<ResponseRequest>`${JSON.stringify(request)}::jsonb`;
  const values = valuesOf(Response, { message: messageId, account: accountId, request: stored, createdAt: now });
  await runPlanned(em, 'store_response', sql`insert into responses ${values}`);
}

const m = columns(Message, 'm');
const r = optionalColumns(Response, 'r');

const FOUND = {
  ...TURN_PLACE,
  /** Null: its message was not sent through the Responses API. */
  request: r.request,
  isDeleted: sql<boolean>`${r.deletedAt} is not null`,
};

export type FoundResponse = RowOf<typeof FOUND>;

/** The turn with this reply, and the stored request; null when there is none, or when its conversation or its agent was deleted. */
export function findResponse(em: EntityManager, messageId: string): Promise<FoundResponse | null> {
  return fetchPlannedRow(
    em,
    'response',
    FOUND,
    (fields) => sql`
      select ${fields} from ${TURN_PLACED} left join responses r on ${r.message} = ${m.id} where ${m.id} = ${messageId}`,
  );
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
