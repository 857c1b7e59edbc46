import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ClaudeDefinition } from '../../domain/agents/claude-agents.ts';
import { Account } from './account.ts';
import { moment } from './columns.ts';

const ClaudeAgentSchema = defineEntity({
  name: 'ClaudeAgent',
  tableName: 'claude_agents',
  indexes: [{ name: 'claude_agents_account_index', properties: ['account', 'createdAt', 'id'] }],
  properties: {
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('claude_agents_account_fk').index(false),
    /** Counts its updates, from 1. */
    version: p.integer(),
    definition: p.json<ClaudeDefinition>(),
    createdAt: moment(),
    updatedAt: moment(),
    archivedAt: moment().strictNullable().default(null),
  },
});

/** An agent of Claude Managed Agents. It becomes an agent of each instance in which a session with it is opened. */
export class ClaudeAgent extends ClaudeAgentSchema.class {}
ClaudeAgentSchema.setClass(ClaudeAgent);
