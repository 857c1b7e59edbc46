import { Migration } from '@mikro-orm/migrations';

/** What an API key may do, and the only instance that it sees. Null is no limit, as for every key before. */
export class KeyLimits extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table "api_keys" add column "scopes" text[] null, add column "instance_id" text null');
    this.addSql(
      'alter table "api_keys" add constraint "api_keys_instance_fk" foreign key ("instance_id") references "instances" ("id") on delete cascade',
    );
    this.addSql('create index "api_keys_instance_index" on "api_keys" ("instance_id")');
  }

  override down(): void {
    // A key whose limits were dropped would be one without limits.
    this.addSql(
      `update "api_keys" set "revoked_at" = now() where "revoked_at" is null and ("scopes" is not null or "instance_id" is not null)`,
    );
    this.addSql('alter table "api_keys" drop column "scopes", drop column "instance_id"');
  }
}
