import type { EntityManager } from '@mikro-orm/postgresql';
import type { TurnStatus } from '../../domain/turn.ts';
import { db } from '../db.ts';

/** Where a turn stands, held until the transaction ends; null when it is gone. */
export async function lockTurn(
  em: EntityManager,
  messageId: string,
): Promise<{ status: TurnStatus | null; attempt: number } | null> {
  const turn = await db(em)
    .selectFrom('Message')
    .select(['status', 'attempt'])
    .where('id', '=', messageId)
    .where('role', '=', 'agent')
    .forNoKeyUpdate()
    .executeTakeFirst();
  return turn ?? null;
}
