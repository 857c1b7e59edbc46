import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table nodes (
  id int not null primary key,
  name text not null,
  max_running int not null,
  constraint nodes_name_unique unique (name)
);
create table runtimes (
  id text not null primary key,
  instance_id text null,
  node_id int null,
  constraint runtimes_instance_unique unique (instance_id),
  constraint runtimes_instance_fk foreign key (instance_id) references instances (id) on delete cascade,
  constraint runtimes_node_fk foreign key (node_id) references nodes (id)
);
create index runtimes_node_index on runtimes (node_id);
alter table processes add column node_id int null,
  add constraint processes_node_fk foreign key (node_id) references nodes (id);
create index processes_node_index on processes (node_id);
alter table watch_shards add column node_id int null,
  add constraint watch_shards_node_fk foreign key (node_id) references nodes (id);
create index watch_shards_node_index on watch_shards (node_id);
alter table unowned_runtimes add column node_id int null,
  add constraint unowned_runtimes_node_fk foreign key (node_id) references nodes (id);
create index unowned_runtimes_node_index on unowned_runtimes (node_id);
`;

/**
 * Every instance has the runtime that its row names. A trigger, because processes of the version before make instances too.
 * It runs as its owner, so that who makes an instance needs no right to place it.
 */
const KEEP_RUNTIME = `
create function keep_runtime() returns trigger language plpgsql security definer set search_path from current as $$
begin
  update runtimes set instance_id = null where instance_id = new.id and id <> new.runtime_id;
  insert into runtimes (id, instance_id) values (new.runtime_id, new.id)
      on conflict (id) do update set instance_id = excluded.instance_id;
  return null;
end $$;
create trigger instances_keep_runtime after insert or update of runtime_id on instances for each row execute function keep_runtime();
`;

/** On which node the gateway and the storage of an instance are, and which workers watch there. Empty at first: workers enter it at their start. */
export class Runtimes extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(TABLES);
    this.addSql(KEEP_RUNTIME);
    this.addSql('insert into runtimes (id, instance_id) select runtime_id, id from instances');
  }

  override down(): void {
    throw new Error('Which node has which storage cannot be kept without it: restore a backup instead.');
  }
}
