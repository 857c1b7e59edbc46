import { defineEntity, p } from '@mikro-orm/postgresql';
import { Agent } from './agent.ts';
import { ClaudeAgent } from './claude-agent.ts';
import { Instance } from './instance.ts';

const ClaudeAgentPlaceSchema = defineEntity({
  name: 'ClaudeAgentPlace',
  tableName: 'claude_agent_places',
  properties: {
    claudeAgent: () =>
      p
        .manyToOne(ClaudeAgent)
        .mapToPk()
        .primary()
        .foreignKeyName('claude_agent_places_definition_fk')
        .updateRule('no action')
        .deleteRule('no action'),
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .primary()
        .foreignKeyName('claude_agent_places_instance_fk')
        .updateRule('no action')
        .deleteRule('cascade'),
    agent: () =>
      p
        .manyToOne(Agent)
        .mapToPk()
        .foreignKeyName('claude_agent_places_agent_fk')
        .updateRule('no action')
        .deleteRule('cascade')
        .index(false),
    /** The version that the agent has. */
    version: p.integer(),
  },
});

/** The agent of an instance that is this agent of Claude Managed Agents there. */
export class ClaudeAgentPlace extends ClaudeAgentPlaceSchema.class {}
ClaudeAgentPlaceSchema.setClass(ClaudeAgentPlace);
