import { Migration } from '@mikro-orm/migrations';

/** Accounts that an operator made operators, for the console. */
export class AccountOperators extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql('alter table "accounts" add column "is_operator" boolean not null default false');
  }

  override down(): void {
    this.addSql('alter table "accounts" drop column "is_operator"');
  }
}
