import type { EntityManager } from '@mikro-orm/postgresql';
import { findAccountMoney } from './account-money.ts';

/** The balance of an account in nano-dollars, less what has accrued since the last debit as far as it is proven. Never negative. */
export async function findBalance(em: EntityManager, accountId: string): Promise<bigint> {
  return (await findAccountMoney(em, accountId, null)).balance;
}

/** Whether the account has money for the present moment. */
export async function hasMoney(em: EntityManager, accountId: string): Promise<boolean> {
  const { available, balance } = await findAccountMoney(em, accountId, null);
  return available > 0n && balance > 0n;
}
