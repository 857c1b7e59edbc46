import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { moment, nanoUsd } from './columns.ts';

const TokenChargeSchema = defineEntity({
  name: 'TokenCharge',
  tableName: 'token_charges',
  indexes: [
    { name: 'token_charges_account_index', properties: ['account'] },
    {
      name: 'token_charges_unreckoned_index',
      expression: 'create index "token_charges_unreckoned_index" on "token_charges" ("account_id") where not reckoned',
    },
  ],
  properties: {
    agent: () => p.manyToOne(Agent).mapToPk().primary().createForeignKeyConstraint(false).index(false),
    model: p.text().primary(),
    /** The full UTC hour in which the calls ended. */
    hour: moment().primary(),
    account: () => p.manyToOne(Account).mapToPk().createForeignKeyConstraint(false).index(false),
    costNanoUsd: nanoUsd(),
    calls: p.integer(),
    /** The end of the account's money has been reckoned with it. */
    reckoned: p.boolean().default(false),
  },
});

/** What the model calls of an agent cost in an hour that is not debited yet. */
export class TokenCharge extends TokenChargeSchema.class {}
TokenChargeSchema.setClass(TokenCharge);
