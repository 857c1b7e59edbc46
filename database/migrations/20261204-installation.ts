import { Migration } from '@mikro-orm/migrations';

/** Which installation this database belongs to, and proofs of its master keys. */
export class Installation extends Migration {
  override up(): void {
    this.addSql(`
      create table installation (
        one boolean not null default true primary key,
        id text not null,
        claimed_at timestamptz(3) null
      );
      alter table installation add constraint installation_is_one check (one);
      insert into installation (id) values ('ins_' || replace(gen_random_uuid()::text, '-', ''));
      create table key_canaries (key_id text not null primary key, sealed text not null);`);
  }

  override down(): void {
    this.addSql('drop table key_canaries; drop table installation;');
  }
}
