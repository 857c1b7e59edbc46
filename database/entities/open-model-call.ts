import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { counter, moment } from './columns.ts';
import { Instance } from './instance.ts';

const OpenModelCallSchema = defineEntity({
  name: 'OpenModelCall',
  tableName: 'open_model_calls',
  indexes: [{ name: 'open_model_calls_expiry_index', properties: ['expiresAt'] }],
  properties: {
    id: counter().primary().autoincrement().columnType('bigint generated always as identity'),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('open_model_calls_account_fk').index(false),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('open_model_calls_instance_fk').index(false),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('open_model_calls_agent_fk').index(false),
    /** Names the message whose turn makes the call. */
    traceId: p.character().length(32).strictNullable(),
    model: p.text(),
    begunAt: moment().defaultRaw('now()'),
    /** When the prices of its model began that it has; null: it has none. */
    pricedFrom: moment().strictNullable().default(null),
    /** The most that the call may use. */
    inputTokens: p.integer(),
    outputTokens: p.integer(),
    /** No call takes longer: by then its relay process has died, and a sweep counts what was reserved. */
    expiresAt: moment(),
  },
});

/** What a model call that is under way may use at most. It becomes a ModelCall when the call ends. */
export class OpenModelCall extends OpenModelCallSchema.class {}
OpenModelCallSchema.setClass(OpenModelCall);
