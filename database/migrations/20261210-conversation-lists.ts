import { Migration } from '@mikro-orm/migrations';

const CONVERSATIONS = `
alter table conversations
  add column last_at timestamptz(3) not null default now(),
  add column deleted_at timestamptz(3) null;
update conversations
   set last_at = coalesce((select greatest(max(created_at), max(ended_at)) from messages where conversation_id = conversations.id), created_at);
create index conversations_recent_index on conversations (agent_id, last_at, id) where deleted_at is null;
create index conversations_deleted_index on conversations (agent_id) where deleted_at is not null;
`;

/** The first is for counting the messages that an agent sent without a request: see database/messages/conversations.ts. */
const MESSAGES = `
create index messages_spoken_index on messages (conversation_id) where source is not null;
create index messages_search_index on messages
  using gin ((array_to_tsvector(array[agent_id]) || to_tsvector('simple', left(content, 100000))))
  where conversation_id is not null and content <> '';
`;

/** Conversations are listed by their last message, deleted, and searched. */
export class ConversationLists extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    for (const sql of [CONVERSATIONS, MESSAGES]) this.addSql(sql);
  }

  override down(): void {
    this.addSql('drop index messages_search_index; drop index messages_spoken_index;');
    this.addSql('alter table conversations drop column last_at, drop column deleted_at;');
  }
}
