import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table instance_secrets (
  instance_id text not null,
  key text not null,
  value text not null,
  updated_at timestamptz(3) not null,
  primary key (instance_id, key)
);

create table instance_skills (
  id text not null,
  instance_id text not null,
  name text not null,
  type text not null,
  description text not null,
  requires_env text[] not null default '{}',
  status text not null default 'pending',
  generation bigint not null,
  created_at timestamptz(3) not null,
  primary key (id)
);
alter table instance_skills add constraint instance_skills_name_unique unique (instance_id, name);
alter table instance_skills add constraint instance_skills_type_known check (type in ('built-in', 'custom'));
alter table instance_skills add constraint instance_skills_status_known check (status in ('pending', 'active', 'error'));

create table skill_files (
  skill_id text not null,
  path text not null,
  content text not null,
  primary key (skill_id, path)
);

alter table instances add column restart_not_before timestamptz(3) null;
alter table agent_files add column seen boolean not null default false;
`;

const FOREIGN_KEYS = `
alter table instance_secrets add constraint instance_secrets_instance_fk foreign key (instance_id) references instances (id);
alter table instance_skills add constraint instance_skills_instance_fk foreign key (instance_id) references instances (id);
alter table skill_files add constraint skill_files_skill_fk foreign key (skill_id) references instance_skills (id) on update no action on delete cascade;
`;

/** Secrets and skills of an instance; restarts that are put off for a moment; files that were seen at a stop. */
export class InstanceContent extends Migration {
  override up(): void {
    for (const sql of [TABLES, FOREIGN_KEYS]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
