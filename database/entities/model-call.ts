import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { counter, moment, nanoUsd } from './columns.ts';
import { Instance } from './instance.ts';
import { Message } from './message.ts';

const ModelCallSchema = defineEntity({
  name: 'ModelCall',
  tableName: 'model_calls',
  indexes: [
    { name: 'model_calls_account_index', properties: ['account', 'at'] },
    { name: 'model_calls_instance_index', properties: ['instance', 'at'] },
    { name: 'model_calls_agent_index', properties: ['agent', 'at'] },
    { name: 'model_calls_message_index', properties: ['message'] },
  ],
  properties: {
    id: counter().primary().autoincrement().columnType('bigint generated always as identity'),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('model_calls_account_fk').index(false),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('model_calls_instance_fk').index(false),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('model_calls_agent_fk').index(false),
    /** The reply whose turn made it; null for a scheduled job, or when the message is gone. */
    message: () =>
      p
        .manyToOne(Message)
        .mapToPk()
        .strictNullable()
        .foreignKeyName('model_calls_message_fk')
        .deleteRule('set null')
        .index(false),
    model: p.text(),
    inputTokens: p.integer(),
    outputTokens: p.integer(),
    /** Of the input, what the provider read from its cache, and what it wrote there. */
    cacheReadTokens: p.integer().default(0),
    cacheWriteTokens: p.integer().default(0),
    /** Of the output, what the model thought. */
    thinkingTokens: p.integer().default(0),
    /** The provider of PROVIDERS that answered, and its name of the model; null where none is known. */
    provider: p.text().strictNullable().default(null),
    upstream: p.text().strictNullable().default(null),
    /** As the provider said it, in OpenAI's words; null when it did not. */
    finishReason: p.text().strictNullable().default(null),
    /** The budget that had no room for it, so that it was not made. */
    refusedBy: p.text().strictNullable().default(null),
    /** When it ended. */
    at: moment().defaultRaw('now()'),
    /** Null for calls of earlier versions. */
    begunAt: moment().strictNullable().default(null),
    /** When the prices of its model began that it has; null: it has none. */
    pricedFrom: moment().strictNullable().default(null),
    /** Rounded down to whole nano-dollars. */
    costNanoUsd: nanoUsd().default(0),
  },
});

/** One call of a model provider, counted where it cannot be forged. */
export class ModelCall extends ModelCallSchema.class {}
ModelCallSchema.setClass(ModelCall);
