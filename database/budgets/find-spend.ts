import type { EntityManager } from '@mikro-orm/postgresql';
import { columns } from '../db.ts';
import { BudgetSpend } from '../entities/budget-spend.ts';
import { Budget } from '../entities/budget.ts';
import { fetchRow, fetchRows } from '../rows.ts';
import type { RowOf } from '../rows.ts';
import { asText, epochMs, sql } from '../sql.ts';

const s = columns(BudgetSpend, 's');
const b = columns(Budget, 'b');

/** Whether a budget counts running time: it is limited to nothing, or to instances alone. */
const COVERS_RUNTIME = sql<boolean>`(${b.agentId} is null and ${b.keyId} is null and ${b.senderId} is null and ${b.sessionId} is null)`;

const PLACE = {
  budgetId: s.budget,
  key: s.key,
  /** In milliseconds since 1970. */
  periodStart: epochMs(s.periodStart),
};

/** What is spent of a budget, in one period and for one key of its scope. */
export type SpendPlace = RowOf<typeof PLACE>;

const SPEND = {
  ...PLACE,
  accountId: b.account,
  name: b.name,
  period: b.period,
  limit: asText(b.limitNanoUsd),
  warnAt: b.warnAt,
  createdAt: epochMs(b.createdAt),
  /** Null: of the whole account. */
  instanceId: sql<string | null>`case when ${b.instanceId} = '*' then ${s.key} else ${b.instanceId} end`,
  coversRuntime: COVERS_RUNTIME,
  isDeleted: sql<boolean>`${b.deletedAt} is not null`,
  /** By model calls. */
  tokens: asText(s.tokensNanoUsd),
  isWarned: s.isWarned,
  isReached: s.isReached,
};

export type Spend = RowOf<typeof SPEND>;

/**
 * What is spent that the worker is to look at by now: of each account first one place, then the next, so that an account with many
 * does not hold up the others; and first where something may have to be stopped, then what waits longest.
 */
export function listDueSpends(em: EntityManager, now: Date, limit: number): Promise<SpendPlace[]> {
  const { budget, key, lookAt } = columns(BudgetSpend);
  return fetchRows(
    em,
    PLACE,
    (fields) => sql`
      select ${fields}
        from (select s.*, row_number() over (partition by ${b.account} order by ${COVERS_RUNTIME} desc, ${s.lookAt}, ${s.budget}, ${s.key}) as place
                from budget_spends s join budgets b on ${b.id} = ${s.budget} where ${s.lookAt} <= ${now}) s
       order by place, ${lookAt}, ${budget}, ${key} limit ${limit}`,
  );
}

/** One of them, with its budget; held until the transaction ends. Null when it is gone. */
export function lockSpend(em: EntityManager, { budgetId, key, periodStart }: SpendPlace): Promise<Spend | null> {
  return fetchRow(
    em,
    SPEND,
    (fields) => sql`
      select ${fields} from budget_spends s join budgets b on ${b.id} = ${s.budget}
       where ${s.budget} = ${budgetId} and ${s.key} = ${key} and ${s.periodStart} = to_timestamp(${periodStart}::float8 / 1000) for update of s`,
  );
}
