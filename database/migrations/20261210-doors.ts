import { Migration } from '@mikro-orm/migrations';

const ROW_BYTES = 256;

/** As in the migration of stored bytes: notes what the rows of one statement change, by the texts of a row `r`. */
const counting = (table: string, texts: string[]): string => {
  const bytes = [String(ROW_BYTES), ...texts.map((text) => `octet_length(coalesce(${text}, ''))`)].join(' + ');
  const added = `select r.account_id, ${bytes} as bytes from added r`;
  const removed = `select r.account_id, -(${bytes}) as bytes from removed r`;
  const note = (changes: string) => `
    insert into stored_bytes_changes (account_id, bytes)
    select account_id, sum(bytes) from (${changes}) change group by account_id having sum(bytes) <> 0;`;
  return `
create or replace function count_${table}() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then ${note(added)}
  elsif tg_op = 'DELETE' then ${note(removed)}
  else ${note(`${added} union all ${removed}`)}
  end if;
  return null;
end $$`;
};

const RESPONSES = `
create table responses (
  message_id text not null primary key,
  account_id text not null,
  request jsonb not null,
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3) null,
  constraint responses_message_fk foreign key (message_id) references messages (id) on delete cascade,
  constraint responses_account_fk foreign key (account_id) references accounts (id)
)`;

const RESPONSE_TRIGGERS = [
  ['insert', 'new table as added'],
  ['delete', 'old table as removed'],
  ['update', 'new table as added old table as removed'],
].map(
  ([event, rows]) =>
    `create trigger responses_count_${event} after ${event} on responses referencing ${rows}
       for each statement execute function count_responses()`,
);

/** Clients of other services send the whole conversation with each message: how it is found again, and what comes before. */
export class Doors extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table messages add column context text null');
    this.addSql('alter table conversations add column prompt_hash bytea null, add column instructions_hash bytea null');
    this.addSql(
      'create index conversations_prompt_index on conversations (agent_id, prompt_hash, created_at) where prompt_hash is not null',
    );
    this.addSql(counting('messages', ['r.content', 'r.context']));
    this.addSql(RESPONSES);
    this.addSql(counting('responses', ['r.request::text']));
    for (const trigger of RESPONSE_TRIGGERS) this.addSql(trigger);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
