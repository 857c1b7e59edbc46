import { Migration } from '@mikro-orm/migrations';

/** Pairs that customers store with instances and agents. */
export class Metadata extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(`alter table "instances" add column "metadata" jsonb not null default '{}'`);
    this.addSql(`alter table "agents" add column "metadata" jsonb not null default '{}'`);
  }

  override down(): void {
    this.addSql('alter table "instances" drop column "metadata"');
    this.addSql('alter table "agents" drop column "metadata"');
  }
}
