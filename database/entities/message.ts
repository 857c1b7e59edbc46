import { defineEntity, p } from '@mikro-orm/postgresql';
import type { Attachment } from '../../domain/agents/attachments.ts';
import type { FinishReason, TurnFailure, TurnStatus } from '../../domain/turn.ts';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { counter, moment } from './columns.ts';
import { Conversation } from './conversation.ts';
import { Instance } from './instance.ts';

const MessageSchema = defineEntity({
  name: 'Message',
  tableName: 'messages',
  uniques: [
    { name: 'messages_number_unique', properties: ['conversation', 'number', 'role'] },
    { name: 'messages_trace_unique', properties: ['traceId'] },
  ],
  indexes: [
    {
      name: 'messages_history_index',
      expression:
        'create index "messages_history_index" on "messages" ("agent_id", "created_at", "id") where conversation_id is not null',
    },
    {
      name: 'messages_spoken_index',
      expression: 'create index "messages_spoken_index" on "messages" ("conversation_id") where source is not null',
    },
    {
      name: 'messages_search_index',
      expression: `create index "messages_search_index" on "messages"
        using gin ((array_to_tsvector(array[agent_id]) || to_tsvector('simple', left(content, 100000))))
        where conversation_id is not null and content <> ''`,
    },
    { name: 'messages_instance_index', properties: ['instance'] },
    { name: 'messages_account_index', properties: ['account'] },
    { name: 'messages_agent_index', properties: ['agent'] },
    {
      name: 'messages_pending_index',
      expression: `create index "messages_pending_index" on "messages" ("instance_id", "conversation_id", "number") where status = 'pending'`,
    },
    {
      name: 'messages_abort_due_index',
      expression: 'create index "messages_abort_due_index" on "messages" ("instance_id") where abort_due',
    },
  ],
  checks: [
    { name: 'messages_role_known', expression: "role in ('user', 'agent')" },
    { name: 'messages_status_known', expression: "status in ('pending', 'completed', 'failed', 'cancelled')" },
    { name: 'messages_turn_is_reply', expression: "(role = 'agent') = (status is not null)" },
    { name: 'messages_source_known', expression: "source in ('cron', 'agent')" },
    {
      name: 'messages_place_known',
      expression: '(conversation_id is null) = (number is null) and (conversation_id is not null or source is not null)',
    },
    {
      name: 'messages_spoken_is_ended',
      expression: "source is null or (role = 'agent' and status in ('completed', 'failed'))",
    },
    { name: 'messages_job_is_cron', expression: "coalesce(source = 'cron', false) = (job_name is not null)" },
  ],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('messages_account_fk').index(false),
    instance: () => p.manyToOne(Instance).mapToPk().foreignKeyName('messages_instance_fk').index(false),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('messages_agent_fk').index(false),
    /** Null: the agent sent it unprompted, outside of the API's conversations. */
    conversation: () =>
      p
        .manyToOne(Conversation)
        .mapToPk()
        .strictNullable()
        .foreignKeyName('messages_conversation_fk')
        .deleteRule('no action')
        .index(false),
    /** The turn within its conversation; the message and its reply share it. */
    number: counter().strictNullable(),
    role: p.text().$type<'user' | 'agent'>(),
    content: p.text(),
    /** What is sent to the agent before the content and not shown in the history. Only of messages to an agent. */
    context: p.text().strictNullable().default(null),
    /** The files that came with it. Null: none. */
    attachments: p.json().$type<Attachment[]>().strictNullable().default(null),
    senderType: p.text(),
    senderId: p.text(),
    senderName: p.text(),
    createdAt: moment(),
    /** Why the agent sent it unprompted: as the result of a job (`cron`), or otherwise (`agent`). Null: it is one side of a turn. */
    source: p.text().$type<'cron' | 'agent'>().strictNullable().default(null),
    jobName: p.text().strictNullable().default(null),
    /** It is only a part of what was said. */
    contentTruncated: p.boolean().default(false),

    // The rest is the turn, and stands on the reply.
    status: p.text().$type<TurnStatus>().strictNullable(),
    finishReason: p.text().$type<FinishReason>().strictNullable().default(null),
    errorReason: p.text().$type<TurnFailure>().strictNullable().default(null),
    errorMessage: p.text().strictNullable().default(null),
    /** Names the message in every model call of its turn: 32 hex digits. */
    traceId: p.character().length(32).strictNullable(),
    /** The API key with which the message was sent; null for a token. */
    keyId: p.text().strictNullable().default(null),
    /** Which process sends it: a `proc_` id, or `shard` for the worker that watches its instance. */
    owner: p.text().strictNullable().default(null),
    /** The gateway process that it is for. */
    bootId: p.text().strictNullable().default(null),
    /** How often it was sent under a new key; 0: not yet. */
    attempt: p.integer().default(0),
    sentAt: moment().strictNullable().default(null),
    /** In how many deaths of the gateway it was in flight. */
    deaths: p.integer().default(0),
    /** We ended it before the gateway did: the gateway still has to be told. */
    abortDue: p.boolean().default(false),
    endedAt: moment().strictNullable().default(null),
  },
});

/** One side of a turn (what was said, or the reply to it), or what an agent sent unprompted. */
export class Message extends MessageSchema.class {}
MessageSchema.setClass(Message);
