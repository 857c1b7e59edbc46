import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { Budget } from '../entities/budget.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asText, epochMs, sql } from '../sql.ts';

const b = columns(Budget, 'b');
const s = columns(BudgetSpend, 's');

const FIELDS = {
  budgetId: b.id,
  name: b.name,
  instanceId: b.instanceId,
  agentId: b.agentId,
  keyId: b.keyId,
  senderId: b.senderId,
  sessionId: b.sessionId,
  period: b.period,
  limitNanoUsd: asText(b.limitNanoUsd),
  warnAt: b.warnAt,
  /** In the present period: of all keys together. */
  spentNanoUsd: asText(
    sql<bigint>`coalesce((select sum(spent_by(s, now())) from budget_spends s
                           where ${s.budget} = ${b.id} and ${s.periodStart} = budget_period_start(${b.period}, now())), 0)`,
  ),
  createdAtMs: epochMs(b.createdAt),
};

export type BudgetView = RowOf<typeof FIELDS>;

/** The budgets of an account, the latest first, behind this place. */
export function listBudgets(
  em: EntityManager,
  { accountId, after, limit }: { accountId: string; after: readonly [number, string] | undefined; limit: number },
): Promise<BudgetView[]> {
  const place = after ? sql`(${b.createdAt}, ${b.id}) < (to_timestamp(${after[0]}::float8 / 1000), ${after[1]})` : sql`true`;
  return fetchRows(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields} from budgets b where ${b.deletedAt} is null and ${b.account} = ${accountId} and ${place}
       order by ${b.createdAt} desc, ${b.id} desc limit ${limit}`,
  );
}

/** One of them; null when the account has no such budget. */
export function findBudget(
  em: EntityManager,
  { accountId, budgetId }: { accountId: string; budgetId: string },
): Promise<BudgetView | null> {
  return fetchRow(
    em,
    FIELDS,
    (fields) => sql`
      select ${fields} from budgets b where ${b.deletedAt} is null and ${b.account} = ${accountId} and ${b.id} = ${budgetId}`,
  );
}

/** What is spent of a budget in the present period by each key of its scope, in the order of the keys. */
export function listSpend(
  em: EntityManager,
  { budgetId, after, limit }: { budgetId: string; after: string | undefined; limit: number },
): Promise<{ key: string; spentNanoUsd: string }[]> {
  return fetchRows(
    em,
    { key: s.key, spentNanoUsd: asText(sql<bigint>`spent_by(s, now())`) },
    (fields) => sql`
      select ${fields} from budget_spends s join budgets b on ${b.id} = ${s.budget}
       where ${s.budget} = ${budgetId} and ${s.periodStart} = budget_period_start(${b.period}, now()) and ${s.key} > ${after ?? ''}
       order by ${s.key} limit ${limit}`,
  );
}
