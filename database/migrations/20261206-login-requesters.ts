import { Migration } from '@mikro-orm/migrations';

/**
 * Login codes per requester. Processes of the version before go on with `login_codes`, which a later version drops; a
 * code that one of them sent is not known here.
 */
export class LoginRequesters extends Migration {
  override up(): void {
    this.addSql(`
      create table requester_login_codes (
        account_id text not null,
        requester text not null,
        code_hash text not null,
        expires_at timestamptz(3) not null,
        tries_left int not null,
        consumed_at timestamptz(3) null,
        sent_at timestamptz[] not null,
        proven_at timestamptz(3) null,
        primary key (account_id, requester)
      );
      alter table requester_login_codes add constraint requester_login_codes_account_fk
        foreign key (account_id) references accounts (id);`);
  }

  override down(): void {
    this.addSql('drop table requester_login_codes');
  }
}
