import type { EntityManager } from '@mikro-orm/postgresql';
import { db } from '../db.ts';

/** Whether an operator made this account one. */
export async function isOperator(em: EntityManager, accountId: string): Promise<boolean> {
  const account = await db(em).selectFrom('Account').select('isOperator').where('id', '=', accountId).executeTakeFirst();
  return account?.isOperator ?? false;
}
