import { Migration } from '@mikro-orm/migrations';

/** The model relay has no master keys, only what it derives of each: proof that it has the right ones. */
export class RelayCanaries extends Migration {
  override up(): void {
    this.addSql('alter table key_canaries add column relay_sealed text null');
  }

  override down(): void {
    this.addSql('alter table key_canaries drop column relay_sealed');
  }
}
