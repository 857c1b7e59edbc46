import { Migration } from '@mikro-orm/migrations';

/** An account can be deleted. Those that have given up their address are no longer in the index. */
export class AccountDeletion extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table accounts add column deleted_at timestamptz(3) null;');
    this.addSql(
      `create index accounts_deleted_index on accounts (deleted_at) where deleted_at is not null and email <> id || '@deleted.invalid';`,
    );
  }

  override down(): void {
    this.addSql('alter table accounts drop column deleted_at;');
  }
}
