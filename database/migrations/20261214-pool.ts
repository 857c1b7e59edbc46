import { Migration } from '@mikro-orm/migrations';

/**
 * What a runtime is made of and since when, and the runtimes that were started before an instance asked. Runtimes that
 * exist are taken to have been made now. Spare agents stay with their runtime until an instance makes them its own.
 */
export class Pool extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(`alter table runtimes
      add column driver text null,
      add column pin text null,
      add column created_at timestamptz(3) not null default now(),
      add column claimed_at timestamptz(3) null`);
    this.addSql('create index runtimes_created_index on runtimes (created_at, id)');
    this.addSql('create index runtimes_claimed_index on runtimes (claimed_at) where claimed_at is not null');
    this.addSql(`create table pool_members (
      runtime_id text not null primary key,
      state text not null,
      epoch bigint not null,
      recipe text not null,
      ready_at timestamptz(3) null,
      constraint pool_members_state_known check (state in ('warming', 'ready', 'ending')),
      constraint pool_members_runtime_fk foreign key (runtime_id) references runtimes (id) on delete cascade
    )`);
    this.addSql(`create table spare_agents (
      id text not null primary key,
      runtime_id text not null,
      gateway_agent_id text not null,
      model text not null,
      place int not null,
      constraint spare_agents_runtime_fk foreign key (runtime_id) references runtimes (id) on delete cascade
    )`);
    this.addSql('create index spare_agents_runtime_index on spare_agents (runtime_id)');
  }

  override down(): void {
    this.addSql('drop table spare_agents');
    this.addSql('drop table pool_members');
    this.addSql('alter table runtimes drop column driver, drop column pin, drop column created_at, drop column claimed_at');
  }
}
