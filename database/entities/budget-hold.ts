import { defineEntity, p } from '@mikro-orm/postgresql';
import { Budget } from './budget.ts';
import { moment, nanoUsd } from './columns.ts';
import { Message } from './message.ts';

const BudgetHoldSchema = defineEntity({
  name: 'BudgetHold',
  tableName: 'budget_holds',
  properties: {
    /** The reply, which is the turn. */
    message: () => p.manyToOne(Message).mapToPk().primary().createForeignKeyConstraint(false).index(false),
    budget: () => p.manyToOne(Budget).mapToPk().primary().createForeignKeyConstraint(false).index(false),
    key: p.text(),
    periodStart: moment(),
    /** What is left. Zero while a model call of the turn has it. */
    nanoUsd: nanoUsd(),
  },
});

/** What a turn has reserved of a budget until it ends. */
export class BudgetHold extends BudgetHoldSchema.class {}
BudgetHoldSchema.setClass(BudgetHold);
