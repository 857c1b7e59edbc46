import { Migration } from '@mikro-orm/migrations';

/** Sleepers whose gateway is suspended. Processes of the version before suspend none; they end those that they wake. */
export class Suspend extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table "instances" add column "suspended_at" timestamptz(3) null');
    this.addSql('create index "instances_suspended_index" on "instances" ("suspended_at") where suspended_at is not null');
  }

  override down(): void {
    this.addSql('alter table "instances" drop column "suspended_at"');
  }
}
