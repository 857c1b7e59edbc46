import type { EntityManager } from '@mikro-orm/postgresql';
import type { BudgetPeriod } from '../../domain/budgets.ts';
import { query, sql } from '../sql.ts';

/** Whether a budget counts running time: it is limited to nothing, or to instances alone. */
const COVERS_RUNTIME = sql`(b.agent_id is null and b.key_id is null and b.sender_id is null and b.session_id is null)`;

/** What is spent of a budget, in one period and for one key of its scope. */
export interface SpendPlace {
  budgetId: string;
  key: string;
  /** In milliseconds since 1970. */
  periodStart: number;
}

export interface Spend extends SpendPlace {
  accountId: string;
  name: string;
  period: BudgetPeriod;
  limit: string;
  warnAt: number;
  createdAt: number;
  /** Null: of the whole account. */
  instanceId: string | null;
  coversRuntime: boolean;
  isDeleted: boolean;
  /** By model calls. */
  tokens: string;
  isWarned: boolean;
  isReached: boolean;
}

/**
 * What is spent that the worker is to look at by now: of each account first one place, then the next, so that an account with many
 * does not hold up the others; and first where something may have to be stopped, then what waits longest.
 */
export async function listDueSpends(em: EntityManager, now: Date, limit: number): Promise<SpendPlace[]> {
  return query<SpendPlace>(
    em,
    sql`select budget_id as "budgetId", key, (extract(epoch from period_start) * 1000)::float8 as "periodStart"
       from (select s.*, row_number() over (partition by b.account_id order by ${COVERS_RUNTIME} desc, look_at, budget_id, key) as place
               from budget_spends s join budgets b on b.id = s.budget_id where look_at <= ${now}) due
      order by place, look_at, budget_id, key limit ${limit}`,
  );
}

/** One of them, with its budget; held until the transaction ends. Null when it is gone. */
export async function lockSpend(em: EntityManager, { budgetId, key, periodStart }: SpendPlace): Promise<Spend | null> {
  const [spend] = await query<Spend>(
    em,
    sql`select s.budget_id as "budgetId", s.key, (extract(epoch from s.period_start) * 1000)::float8 as "periodStart",
            b.account_id as "accountId", b.name, b.period, b.limit_nano_usd::text as limit, b.warn_at as "warnAt",
            (extract(epoch from b.created_at) * 1000)::float8 as "createdAt",
            case when b.instance_id = '*' then s.key else b.instance_id end as "instanceId",
            ${COVERS_RUNTIME} as "coversRuntime",
            b.deleted_at is not null as "isDeleted", s.tokens_nano_usd::text as tokens, s.is_warned as "isWarned", s.is_reached as "isReached"
       from budget_spends s join budgets b on b.id = s.budget_id
      where s.budget_id = ${budgetId} and s.key = ${key} and s.period_start = to_timestamp(${periodStart}::float8 / 1000) for update of s`,
  );
  return spend ?? null;
}
