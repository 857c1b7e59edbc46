import { Migration } from '@mikro-orm/migrations';
import { countStoredBytes } from './count-stored-bytes.ts';

const STEPS = `
create table message_steps (
  message_id text not null primary key,
  account_id text not null,
  steps jsonb not null,
  created_at timestamptz(3) not null,
  constraint message_steps_message_fk foreign key (message_id) references messages (id) on delete cascade,
  constraint message_steps_account_fk foreign key (account_id) references accounts (id)
)`;

/** What agents do during their turns: one row of a reply whose agent did anything, so that other turns write nothing. */
export class Steps extends Migration {
  override up(): void {
    this.addSql(STEPS);
    this.addSql('create index message_steps_created_index on message_steps (created_at)');
    for (const statement of countStoredBytes('message_steps', ['r.steps::text'])) this.addSql(statement);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
