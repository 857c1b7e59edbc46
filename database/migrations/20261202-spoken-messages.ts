import { Migration } from '@mikro-orm/migrations';

/** A message that an agent sends by itself is in no turn, and that of a job in no conversation. */
const COLUMNS = `
alter table messages
  alter column conversation_id drop not null,
  alter column number drop not null,
  add column source text null,
  add column job_name text null,
  add column content_truncated boolean not null default false;
alter table messages add constraint messages_source_known check (source in ('cron', 'agent'));
alter table messages add constraint messages_place_known
  check ((conversation_id is null) = (number is null) and (conversation_id is not null or source is not null));
alter table messages add constraint messages_spoken_is_ended
  check (source is null or (role = 'agent' and status in ('completed', 'failed')));
alter table messages add constraint messages_job_is_cron check (coalesce(source = 'cron', false) = (job_name is not null));
`;

/** Where the results of a job that an agent made in a conversation are added. */
const JOBS = `
alter table cron_jobs add column conversation_id text null;
`;

/** Histories have no results of jobs, of which there can be many more than messages of conversations. */
const HISTORY = `
drop index messages_history_index;
create index messages_history_index on messages (agent_id, created_at, id) where conversation_id is not null;
`;

/** Results of jobs and what agents say by themselves become messages. */
export class SpokenMessages extends Migration {
  override up(): void {
    for (const sql of [COLUMNS, JOBS, HISTORY]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('Messages outside of conversations have no place in the tables of before: restore a backup instead.');
  }
}
