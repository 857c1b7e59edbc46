import { defineEntity, p } from '@mikro-orm/postgresql';
import { Account } from './account.ts';
import { moment } from './columns.ts';
import { Message } from './message.ts';

/** The fields of a request of the Responses API that its answers repeat. */
export interface ResponseRequest {
  model: string;
  instructions: string | null;
  metadata: Record<string, string>;
  previousResponseId: string | null;
  background: boolean;
}

const ResponseSchema = defineEntity({
  name: 'Response',
  tableName: 'responses',
  properties: {
    /** The reply that it is. */
    message: () =>
      p
        .manyToOne(Message)
        .mapToPk()
        .primary()
        .foreignKeyName('responses_message_fk')
        .updateRule('no action')
        .deleteRule('cascade'),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('responses_account_fk').index(false),
    request: p.json<ResponseRequest>(),
    createdAt: moment(),
    /** From then on the Responses API does not find it; the message stays. */
    deletedAt: moment().strictNullable().default(null),
  },
});

/** A reply to a message that was sent through OpenAI's Responses API. */
export class Response extends ResponseSchema.class {}
ResponseSchema.setClass(Response);
