import type { EntityManager } from '@mikro-orm/postgresql';

/** Where a turn stands, held until the transaction ends; null when it is gone. */
export async function lockTurn(em: EntityManager, messageId: string): Promise<{ status: string; attempt: number } | null> {
  const [row] = await em.execute<{ status: string; attempt: number }[]>(
    `select status, attempt from messages where id = ? and role = 'agent' for no key update`,
    [messageId],
  );
  return row ?? null;
}
