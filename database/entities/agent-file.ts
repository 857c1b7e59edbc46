import { defineEntity, p } from '@mikro-orm/postgresql';
import { Agent } from './agent.ts';
import { counter, moment } from './columns.ts';

const AgentFileSchema = defineEntity({
  name: 'AgentFile',
  tableName: 'agent_files',
  properties: {
    agent: () => p.manyToOne(Agent).mapToPk().primary().foreignKeyName('agent_files_agent_fk'),
    path: p.text().primary(),
    /** Null: to be removed from the workspace. */
    content: p.text().strictNullable(),
    /** The content generation that wrote it. */
    generation: counter(),
    /** Whether the gateway has this content. What an agent changes afterwards is its own. */
    applied: p.boolean().default(false),
    /** The agent made it: it was seen in the workspace, and never given by the API. */
    seen: p.boolean().default(false),
    updatedAt: moment(),
  },
});

/** A workspace file as the API was last told, or as it was last seen. */
export class AgentFile extends AgentFileSchema.class {}
AgentFileSchema.setClass(AgentFile);
