import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ClaudeEnvironmentFields } from '../../domain/agents/claude-agents.ts';
import { Account } from './account.ts';
import { moment } from './columns.ts';
import { Instance } from './instance.ts';

const ClaudeEnvironmentSchema = defineEntity({
  name: 'ClaudeEnvironment',
  tableName: 'claude_environments',
  properties: {
    instance: () =>
      p
        .manyToOne(Instance)
        .mapToPk()
        .primary()
        .foreignKeyName('claude_environments_instance_fk')
        .updateRule('no action')
        .deleteRule('cascade'),
    account: () => p.manyToOne(Account).mapToPk().foreignKeyName('claude_environments_account_fk').index(false),
    fields: p.json<ClaudeEnvironmentFields>(),
    updatedAt: moment(),
    /** Since then no session is opened in it. */
    archivedAt: moment().strictNullable().default(null),
  },
});

/** What a client of Claude Managed Agents said of an environment, which is an instance. Others have no row. */
export class ClaudeEnvironment extends ClaudeEnvironmentSchema.class {}
ClaudeEnvironmentSchema.setClass(ClaudeEnvironment);
