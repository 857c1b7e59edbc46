import { defineEntity, p } from '@mikro-orm/postgresql';
import { Agent } from './agent.ts';
import { counter, moment } from './columns.ts';

const ConversationSchema = defineEntity({
  name: 'Conversation',
  tableName: 'conversations',
  uniques: [{ name: 'conversations_session_unique', properties: ['agent', 'sessionId'] }],
  properties: {
    /** Names the gateway's session too, where the client's own id would lose its case. */
    id: p.text().primary(),
    agent: () => p.manyToOne(Agent).mapToPk().foreignKeyName('conversations_agent_fk').index(false),
    /** As the client names it; empty for the agent's one conversation without a name. */
    sessionId: p.text(),
    /** The number of its last turn. */
    lastNumber: counter().default(0),
    createdAt: moment(),
  },
});

/** A thread of messages with one agent. */
export class Conversation extends ConversationSchema.class {}
ConversationSchema.setClass(Conversation);
