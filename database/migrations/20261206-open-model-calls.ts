import { Migration } from '@mikro-orm/migrations';

/** What a model call may use is written down before it goes out, so that no end of it or of its relay goes uncounted. */
export class OpenModelCalls extends Migration {
  override up(): void {
    this.addSql(`
create table open_model_calls (
  id bigint generated always as identity primary key,
  account_id text not null,
  instance_id text not null,
  agent_id text not null,
  trace_id char(32) null,
  model text not null,
  input_tokens int not null,
  output_tokens int not null,
  expires_at timestamptz(3) not null
)`);
    this.addSql('create index open_model_calls_expiry_index on open_model_calls (expires_at)');
    for (const name of ['account', 'instance', 'agent'])
      this.addSql(
        `alter table open_model_calls add constraint open_model_calls_${name}_fk foreign key (${name}_id) references ${name}s (id)`,
      );
  }

  override down(): void {
    this.addSql('drop table open_model_calls');
  }
}
