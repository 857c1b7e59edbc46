import { Migration } from '@mikro-orm/migrations';

/** When starts of an instance failed, for the pause before its next one. */
export class FailedStarts extends Migration {
  override up(): void {
    this.addSql(`alter table "instances" add column "failed_starts" timestamptz[] not null default '{}'`);
  }

  override down(): void {
    this.addSql('alter table "instances" drop column "failed_starts"');
  }
}
