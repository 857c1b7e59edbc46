import { Migration } from '@mikro-orm/migrations';
import { countStoredBytes } from './count-stored-bytes.ts';

const TABLES = [
  `create table claude_environments (
     instance_id text not null primary key,
     account_id text not null,
     fields jsonb not null,
     updated_at timestamptz(3) not null,
     constraint claude_environments_instance_fk foreign key (instance_id) references instances (id) on delete cascade,
     constraint claude_environments_account_fk foreign key (account_id) references accounts (id)
   )`,
  `create table claude_agents (
     id text not null primary key,
     account_id text not null,
     version int not null,
     definition jsonb not null,
     created_at timestamptz(3) not null,
     updated_at timestamptz(3) not null,
     archived_at timestamptz(3) null,
     constraint claude_agents_account_fk foreign key (account_id) references accounts (id)
   )`,
  'create index claude_agents_account_index on claude_agents (account_id, created_at, id)',
  `create table claude_agent_places (
     claude_agent_id text not null,
     instance_id text not null,
     agent_id text not null,
     version int not null,
     primary key (claude_agent_id, instance_id),
     constraint claude_agent_places_definition_fk foreign key (claude_agent_id) references claude_agents (id),
     constraint claude_agent_places_instance_fk foreign key (instance_id) references instances (id) on delete cascade,
     constraint claude_agent_places_agent_fk foreign key (agent_id) references agents (id) on delete cascade
   )`,
  `create table claude_sessions (
     id text not null primary key,
     account_id text not null,
     instance_id text not null,
     agent_id text not null,
     fields jsonb not null,
     created_at timestamptz(3) not null,
     updated_at timestamptz(3) not null,
     constraint claude_sessions_account_fk foreign key (account_id) references accounts (id),
     constraint claude_sessions_instance_fk foreign key (instance_id) references instances (id) on delete cascade,
     constraint claude_sessions_agent_fk foreign key (agent_id) references agents (id) on delete cascade
   )`,
  'create index claude_sessions_account_index on claude_sessions (account_id, created_at, id)',
  'create index claude_sessions_instance_index on claude_sessions (instance_id)',
];

/** What clients of Claude Managed Agents make: their agents, where those live, their sessions, and what is kept of environments. */
export class ClaudeDoor extends Migration {
  override up(): void {
    for (const table of TABLES) this.addSql(table);
    const counted = [
      ...countStoredBytes('claude_environments', ['r.fields::text']),
      ...countStoredBytes('claude_agents', ['r.definition::text']),
      ...countStoredBytes('claude_sessions', ['r.fields::text']),
    ];
    for (const statement of counted) this.addSql(statement);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
