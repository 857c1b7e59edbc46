import { defineEntity, p } from '@mikro-orm/postgresql';
import { Budget } from './budget.ts';
import { moment, nanoUsd } from './columns.ts';

const BudgetSpendSchema = defineEntity({
  name: 'BudgetSpend',
  tableName: 'budget_spends',
  indexes: [
    {
      name: 'budget_spends_look_index',
      expression: 'create index "budget_spends_look_index" on "budget_spends" ("look_at") where look_at is not null',
    },
    { name: 'budget_spends_period_index', properties: ['periodStart'] },
  ],
  properties: {
    budget: () => p.manyToOne(Budget).mapToPk().primary().foreignKeyName('budget_spends_budget_fk'),
    /** What `*` stands for: an id, or a JSON array of several; empty without one. */
    key: p.text().primary(),
    periodStart: moment().primary(),
    /** By model calls that have ended. */
    tokensNanoUsd: nanoUsd().default(0),
    /** For turns and model calls that are under way. */
    reservedNanoUsd: nanoUsd().default(0),
    /** By running time, as it was when it was looked at last, and what that costs per hour since then. */
    runtimeNanoUsd: nanoUsd().default(0),
    burnNanoUsdPerHour: nanoUsd().default(0),
    lookedAt: moment().strictNullable().default(null),
    /** When the worker is to look at it next; null: not before something happens. */
    lookAt: moment().strictNullable().default(null),
    /** The customer was told that it is nearly used up, or that it is, since it was last below that. */
    isWarned: p.boolean().default(false),
    isReached: p.boolean().default(false),
  },
});

/** What is spent of a budget in one period. */
export class BudgetSpend extends BudgetSpendSchema.class {}
BudgetSpendSchema.setClass(BudgetSpend);
