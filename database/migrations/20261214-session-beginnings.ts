import { Migration } from '@mikro-orm/migrations';

/** Archived sessions and environments of Claude Managed Agents, and sessions whose initial events wait for their environment. */
export class SessionBeginnings extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table claude_environments add column archived_at timestamptz(3)');
    this.addSql('alter table claude_sessions add column archived_at timestamptz(3)');
    this.addSql('alter table claude_sessions add column initial_due_at timestamptz(3)');
    this.addSql(
      'create index claude_sessions_initial_index on claude_sessions (initial_due_at) where initial_due_at is not null',
    );
  }

  override down(): void {
    this.addSql('alter table claude_sessions drop column initial_due_at');
    this.addSql('alter table claude_sessions drop column archived_at');
    this.addSql('alter table claude_environments drop column archived_at');
  }
}
