import { Migration } from '@mikro-orm/migrations';

/** The token of an agent is good for one gateway process only. */
export class GatewayEpoch extends Migration {
  override up(): void {
    this.addSql('alter table instances add column gateway_epoch bigint null');
  }

  override down(): void {
    this.addSql('alter table instances drop column gateway_epoch');
  }
}
