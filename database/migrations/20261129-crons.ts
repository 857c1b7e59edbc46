import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table cron_jobs (
  id text not null,
  instance_id text not null,
  agent_id text not null,
  gateway_job_id text null,
  created_by text not null,
  name text not null,
  schedule text null,
  message text not null,
  enabled boolean not null,
  next_run_at timestamptz(3) null,
  last_run_at timestamptz(3) null,
  last_run_status text null,
  last_event_id text null,
  created_at timestamptz(3) not null,
  seen_at timestamptz(3) not null,
  gateway_updated_at timestamptz(3) null,
  removed_at timestamptz(3) null,
  primary key (id)
);
alter table cron_jobs add constraint cron_jobs_gateway_job_unique unique (instance_id, gateway_job_id);
create index cron_jobs_agent_index on cron_jobs (agent_id, created_at, id);
alter table cron_jobs add constraint cron_jobs_creator_known check (created_by in ('api', 'agent'));
alter table cron_jobs add constraint cron_jobs_last_status_known check (last_run_status in ('ok', 'error'));

alter table instances add column cron_runs_read_to timestamptz(3) null;
alter table instances add column messages_read_to timestamptz(3) null;
`;

const FOREIGN_KEYS = `
alter table cron_jobs add constraint cron_jobs_instance_fk foreign key (instance_id) references instances (id);
alter table cron_jobs add constraint cron_jobs_agent_fk foreign key (agent_id) references agents (id);
`;

/** What is known of the jobs that gateways keep, and how far runs and conversations were read. */
export class Crons extends Migration {
  override up(): void {
    for (const sql of [TABLES, FOREIGN_KEYS]) this.addSql(sql);
  }

  override down(): void {
    this.addSql('drop table cron_jobs; alter table instances drop column cron_runs_read_to, drop column messages_read_to;');
  }
}
