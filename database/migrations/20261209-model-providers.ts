import { Migration } from '@mikro-orm/migrations';

/**
 * Model calls say more of what they used and who answered; what fails at a provider is seen by the API; and it is known
 * which offers of models a gateway was configured with.
 */
export class ModelProviders extends Migration {
  override up(): void {
    this.addSql(`
alter table model_calls
  add column cache_read_tokens int not null default 0,
  add column cache_write_tokens int not null default 0,
  add column thinking_tokens int not null default 0,
  add column provider text null,
  add column upstream text null`);
    this.addSql('alter table instances add column model_offers text null');
    this.addSql(`
create table model_troubles (
  provider text not null,
  upstream text not null,
  reason text not null,
  since timestamptz(3) not null,
  until timestamptz(3) not null,
  primary key (provider, upstream)
)`);
  }

  override down(): void {
    this.addSql('drop table model_troubles');
    this.addSql('alter table instances drop column model_offers');
    this.addSql(`
alter table model_calls
  drop column cache_read_tokens, drop column cache_write_tokens, drop column thinking_tokens,
  drop column provider, drop column upstream`);
  }
}
