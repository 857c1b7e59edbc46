import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ClaudeSessionFields } from '../../domain/claude-agents.ts';
import { Account } from './account.ts';
import { Agent } from './agent.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const ClaudeSessionSchema = defineEntity({
  name: 'ClaudeSession',
  tableName: 'claude_sessions',
  indexes: [
    { name: 'claude_sessions_account_index', properties: ['account', 'createdAt', 'id'] },
    { name: 'claude_sessions_instance_index', properties: ['instance'] },
  ],
  properties: {
    /** The session id of its conversation too. */
    id: p.text().primary(),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('claude_sessions_account_fk').index(false),
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .foreignKeyName('claude_sessions_instance_fk')
        .updateRule('no action')
        .deleteRule('cascade')
        .index(false),
    agent: () =>
      p
        .manyToOne(Agent)
        .mapToPk()
        .foreignKeyName('claude_sessions_agent_fk')
        .updateRule('no action')
        .deleteRule('cascade')
        .index(false),
    fields: p.json<ClaudeSessionFields>(),
    createdAt: moment(),
    updatedAt: moment(),
  },
});

/** A session of Claude Managed Agents: a conversation, which begins with its first message. */
export class ClaudeSession extends ClaudeSessionSchema.class {}
ClaudeSessionSchema.setClass(ClaudeSession);
