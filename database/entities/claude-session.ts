import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ClaudeSessionFields } from '../../domain/agents/claude-agents.ts';
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
    {
      name: 'claude_sessions_initial_index',
      expression:
        'create index "claude_sessions_initial_index" on "claude_sessions" ("initial_due_at") where initial_due_at is not null',
    },
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
    /** Since then it takes no events. */
    archivedAt: moment().strictNullable().default(null),
    /** When its initial events are tried next; null when it has none that wait. */
    initialDueAt: moment().strictNullable().default(null),
  },
});

/** A session of Claude Managed Agents: a conversation, which begins with its first message. */
export class ClaudeSession extends ClaudeSessionSchema.class {}
ClaudeSessionSchema.setClass(ClaudeSession);
