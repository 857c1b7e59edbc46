import { Migration } from '@mikro-orm/migrations';

/** Gateways and storage that no instance owns, as sweeps find them. */
export class UnownedRuntimes extends Migration {
  override up(): void {
    this.addSql(`
      create table unowned_runtimes (
        runtime_id text not null primary key,
        found_at timestamptz(3) not null,
        quarantined_at timestamptz(3) null,
        delete_asked_at timestamptz(3) null
      );`);
  }

  override down(): void {
    this.addSql('drop table unowned_runtimes;');
  }
}
