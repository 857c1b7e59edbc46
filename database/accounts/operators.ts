import type { EntityManager } from '@mikro-orm/postgresql';
import { query, sql } from '../sql.ts';

/** Whether an operator made this account one. */
export async function isOperator(em: EntityManager, accountId: string): Promise<boolean> {
  const [row] = await query<{ isOperator: boolean }>(
    em,
    sql`select is_operator as "isOperator" from accounts where id = ${accountId}`,
  );
  return row?.isOperator ?? false;
}
