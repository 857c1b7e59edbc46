import type { EntityManager } from '@mikro-orm/postgresql';
import type { BudgetPeriod, BudgetScope } from '../../domain/budgets.ts';
import { query, sql } from '../sql.ts';
import type { Sql } from '../sql.ts';

export interface BudgetView extends BudgetScope {
  budgetId: string;
  name: string;
  period: BudgetPeriod;
  limitNanoUsd: string;
  warnAt: number;
  /** In the present period: of all keys together. */
  spentNanoUsd: string;
  createdAtMs: number;
}

const view = (where: Sql): Sql => sql`
  select b.id as "budgetId", b.name, b.instance_id as "instanceId", b.agent_id as "agentId", b.key_id as "keyId", b.sender_id as "senderId",
         b.session_id as "sessionId", b.period, b.limit_nano_usd::text as "limitNanoUsd", b.warn_at as "warnAt",
         (extract(epoch from b.created_at) * 1000)::float8 as "createdAtMs",
         coalesce((select sum(spent_by(s, now())) from budget_spends s
                    where s.budget_id = b.id and s.period_start = budget_period_start(b.period, now())), 0)::text as "spentNanoUsd"
    from budgets b where b.deleted_at is null and ${where}`;

/** The budgets of an account, the latest first, behind this place. */
export async function listBudgets(
  em: EntityManager,
  { accountId, after, limit }: { accountId: string; after: readonly [number, string] | undefined; limit: number },
): Promise<BudgetView[]> {
  const place = after ? sql`(b.created_at, b.id) < (to_timestamp(${after[0]}::float8 / 1000), ${after[1]})` : sql`true`;
  return query<BudgetView>(
    em,
    sql`${view(sql`b.account_id = ${accountId} and ${place}`)} order by b.created_at desc, b.id desc limit ${limit}`,
  );
}

/** One of them; null when the account has no such budget. */
export async function findBudget(
  em: EntityManager,
  { accountId, budgetId }: { accountId: string; budgetId: string },
): Promise<BudgetView | null> {
  const [budget] = await query<BudgetView>(em, view(sql`b.account_id = ${accountId} and b.id = ${budgetId}`));
  return budget ?? null;
}

/** What is spent of a budget in the present period by each key of its scope, in the order of the keys. */
export async function listSpend(
  em: EntityManager,
  { budgetId, after, limit }: { budgetId: string; after: string | undefined; limit: number },
): Promise<{ key: string; spentNanoUsd: string }[]> {
  return query(
    em,
    sql`select s.key, spent_by(s, now())::text as "spentNanoUsd" from budget_spends s join budgets b on b.id = s.budget_id
      where s.budget_id = ${budgetId} and s.period_start = budget_period_start(b.period, now()) and s.key > ${after ?? ''}
      order by s.key limit ${limit}`,
  );
}
