import { Migration } from '@mikro-orm/migrations';

/** Where instances move to, what they have left there, and the kind of driver of each node. Processes of the version before move none. */
export class Moves extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table "instances" add column "move_node_id" int null, add column "move_runtime_id" text null');
    this.addSql('create index "instances_move_index" on "instances" ("move_node_id") where move_node_id is not null');
    this.addSql('alter table "runtimes" add column "left_by" text null');
    this.addSql('alter table "nodes" add column "driver" text null');
  }

  override down(): void {
    this.addSql('alter table "nodes" drop column "driver"');
    this.addSql('alter table "runtimes" drop column "left_by"');
    this.addSql('alter table "instances" drop column "move_runtime_id", drop column "move_node_id"');
  }
}
