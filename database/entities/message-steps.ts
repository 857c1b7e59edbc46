import { defineEntity, p } from '@mikro-orm/postgresql';
import type { Step } from '../../domain/steps.ts';
import { Account } from './account.ts';
import { moment } from './columns.ts';
import { Message } from './message.ts';

const MessageStepsSchema = defineEntity({
  name: 'MessageSteps',
  tableName: 'message_steps',
  indexes: [{ name: 'message_steps_created_index', properties: ['createdAt'] }],
  properties: {
    /** The reply. */
    message: () =>
      p
        .manyToOne(Message)
        .mapToPk()
        .primary()
        .foreignKeyName('message_steps_message_fk')
        .updateRule('no action')
        .deleteRule('cascade'),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('message_steps_account_fk').index(false),
    steps: p.json<Step[]>(),
    createdAt: moment(),
  },
});

/** What an agent did during a turn, masked and cut: one row of a reply whose agent did anything. */
export class MessageSteps extends MessageStepsSchema.class {}
MessageStepsSchema.setClass(MessageSteps);
