import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** Where a turn stands, held until the transaction ends; null when it is gone. */
export async function lockTurn(em: EntityManager, messageId: string): Promise<{ status: string; attempt: number } | null> {
  const [row] = await query<{ status: string; attempt: number }>(
    em,
    sql`select status, attempt from messages where id = ${messageId} and role = 'agent' for no key update`,
  );
  return row ?? null;
}
