import { Migration } from '@mikro-orm/migrations';

const ROW_BYTES = 256;

/** As in the migration of stored bytes, with what is stored of attachments. */
const BYTES = ['r.content', 'r.context', 'r.attachments::text'].map((text) => `octet_length(coalesce(${text}, ''))`).join(' + ');
const ADDED = `select r.account_id, ${ROW_BYTES} + ${BYTES} as bytes from added r`;
const REMOVED = `select r.account_id, -(${ROW_BYTES} + ${BYTES}) as bytes from removed r`;
const note = (changes: string) => `
    insert into stored_bytes_changes (account_id, bytes)
    select account_id, sum(bytes) from (${changes}) change group by account_id having sum(bytes) <> 0;`;

const COUNT_MESSAGES = `
create or replace function count_messages() returns trigger language plpgsql security definer set search_path from current as $$
begin
  if tg_op = 'INSERT' then ${note(ADDED)}
  elsif tg_op = 'DELETE' then ${note(REMOVED)}
  else ${note(`${ADDED} union all ${REMOVED}`)}
  end if;
  return null;
end $$`;

/** Messages have attachments: what history says of them. The files are in the workspace. */
export class Attachments extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table messages add column attachments jsonb null');
    this.addSql(COUNT_MESSAGES);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
