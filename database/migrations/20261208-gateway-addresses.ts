import { Migration } from '@mikro-orm/migrations';

/**
 * Where gateways and workers listen, so that the API need not ask what runs them. Workers of the version before write
 * neither; those of this one write down the gateways that they started.
 */
export class GatewayAddresses extends Migration {
  override up(): void {
    this.addSql('alter table instances add column gateway_address jsonb null');
    this.addSql('alter table processes add column address text null');
  }

  override down(): void {
    this.addSql('alter table processes drop column address');
    this.addSql('alter table instances drop column gateway_address');
  }
}
