import { defineEntity, p } from '@mikro-orm/postgresql';
import type { BudgetPeriod } from '../../domain/money/budgets.ts';
import { Account } from './account.ts';
import { moment, nanoUsd } from './columns.ts';

const BudgetSchema = defineEntity({
  name: 'Budget',
  tableName: 'budgets',
  indexes: [
    {
      name: 'budgets_account_index',
      expression: 'create index "budgets_account_index" on "budgets" ("account_id", "created_at", "id") where deleted_at is null',
    },
  ],
  checks: [
    { name: 'budgets_period_known', expression: "period in ('day', 'month', 'total')" },
    { name: 'budgets_limit_positive', expression: 'limit_nano_usd > 0' },
    { name: 'budgets_warn_at_known', expression: 'warn_at >= 1 and warn_at <= 99' },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('budgets_account_fk').index(false),
    name: p.text(),
    // What it counts. Null: all of a kind; `*`: each one separately. No foreign keys, because the rows may be deleted.
    instanceId: p.text().strictNullable(),
    agentId: p.text().strictNullable(),
    keyId: p.text().strictNullable(),
    senderId: p.text().strictNullable(),
    sessionId: p.text().strictNullable(),
    period: p.text().$type<BudgetPeriod>(),
    limitNanoUsd: nanoUsd(),
    /** In per cent of the limit. */
    warnAt: p.smallint(),
    createdAt: moment(),
    deletedAt: moment().strictNullable().default(null),
  },
});

/** A cap on what an account, or a part of it, spends in a period. */
export class Budget extends BudgetSchema.class {}
BudgetSchema.setClass(Budget);
