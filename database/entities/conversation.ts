import { defineEntity, p } from '@mikro-orm/postgresql';
import { Agent } from './agent.ts';
import { counter, moment } from './columns.ts';

const ConversationSchema = defineEntity({
  name: 'Conversation',
  tableName: 'conversations',
  uniques: [{ name: 'conversations_session_unique', properties: ['agent', 'sessionId'] }],
  indexes: [
    {
      name: 'conversations_recent_index',
      expression:
        'create index "conversations_recent_index" on "conversations" ("agent_id", "last_at", "id") where deleted_at is null',
    },
    {
      name: 'conversations_deleted_index',
      expression: 'create index "conversations_deleted_index" on "conversations" ("agent_id") where deleted_at is not null',
    },
    {
      name: 'conversations_prompt_index',
      expression:
        'create index "conversations_prompt_index" on "conversations" ("agent_id", "prompt_hash", "created_at") where prompt_hash is not null',
    },
  ],
  properties: {
    /** Names the gateway's session too, where the client's own id would lose its case. */
    id: p.text().primary(),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('conversations_agent_fk').index(false),
    /** As the client names it; empty for the agent's default conversation. Once it is deleted, longer than a client can give. */
    sessionId: p.text(),
    /** The number of its last turn. */
    lastNumber: counter().default(0),
    createdAt: moment(),
    /** When its last message was sent, or its last turn ended. */
    lastAt: moment().defaultRaw('now()'),
    /** From then on it is not found. The row stays until its gateway has deleted the session. */
    deletedAt: moment().strictNullable().default(null),
    /**
     * A hash of all that its client has sent and received of it, up to its last message: by this a conversation without a
     * name is found again. Null when the last message said nothing of what came before.
     */
    promptHash: p.blob().strictNullable().default(null),
    /** A hash of the instructions that the agent was told last. */
    instructionsHash: p.blob().strictNullable().default(null),
  },
});

/** A thread of messages with one agent. */
export class Conversation extends ConversationSchema.class {}
ConversationSchema.setClass(Conversation);
