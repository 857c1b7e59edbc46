import { defineEntity, p } from '@mikro-orm/postgresql';
import { Budget } from './budget.ts';
import { moment, nanoUsd } from './columns.ts';
import { Message } from './message.ts';
import { OpenModelCall } from './open-model-call.ts';

const OpenCallBudgetSchema = defineEntity({
  name: 'OpenCallBudget',
  tableName: 'open_call_budgets',
  properties: {
    call: () => p.manyToOne(OpenModelCall).mapToPk().primary().createForeignKeyConstraint(false).index(false),
    budget: () => p.manyToOne(Budget).mapToPk().primary().createForeignKeyConstraint(false).index(false),
    key: p.text(),
    periodStart: moment(),
    /** The turn that makes the call. */
    message: () => p.manyToOne(Message).mapToPk().strictNullable().createForeignKeyConstraint(false).index(false),
    nanoUsd: nanoUsd(),
    /** What of it the turn had reserved. */
    heldNanoUsd: nanoUsd(),
  },
});

/** What a model call that is under way has reserved of a budget. */
export class OpenCallBudget extends OpenCallBudgetSchema.class {}
OpenCallBudgetSchema.setClass(OpenCallBudget);
