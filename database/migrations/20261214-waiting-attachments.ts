import { Migration } from '@mikro-orm/migrations';

/** Which attachments lie in a workspace for a message that is not accepted yet. */
export class WaitingAttachments extends Migration {
  override up(): void {
    this.addSql(
      `create table waiting_attachments (
         request_message_id text not null primary key,
         instance_id text not null,
         runtime_id text not null,
         gateway_agent_id text not null,
         paths jsonb not null,
         created_at timestamptz(3) not null,
         removing_at timestamptz(3) null,
         constraint waiting_attachments_instance_fk foreign key (instance_id) references instances (id) on delete cascade
       )`,
    );
    this.addSql('create index waiting_attachments_created_index on waiting_attachments (created_at)');
    this.addSql('create index waiting_attachments_instance_index on waiting_attachments (instance_id)');
  }

  override down(): void {
    this.addSql('drop table waiting_attachments');
  }
}
