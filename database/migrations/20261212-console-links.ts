import { Migration } from '@mikro-orm/migrations';

/** The one live link of an account that signs in to the console. */
export class ConsoleLinks extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(
      'alter table "accounts" add column "console_link_hash" bytea null, add column "console_link_expires_at" timestamptz(3) null',
    );
    this.addSql(
      'create unique index "accounts_console_link_unique" on "accounts" ("console_link_hash") where console_link_hash is not null',
    );
  }

  override down(): void {
    this.addSql('alter table "accounts" drop column "console_link_hash", drop column "console_link_expires_at"');
  }
}
