import { Migration } from '@mikro-orm/migrations';

/**
 * Indexes for what is counted or searched with each start and each page: rows of deleted instances stay, so that without
 * them the time would grow with all that there ever was.
 */
export class CountedRows extends Migration {
  override up(): void {
    this.addSql('create index "instances_slot_index" on "instances" ("id") where has_slot');
    this.addSql('create index "instances_live_index" on "instances" ("account_id") where deleted_at is null');
    this.addSql('create index "events_agent_index" on "events" ("instance_id", "agent_slug", "seq")');
  }

  override down(): void {
    this.addSql('drop index "events_agent_index"');
    this.addSql('drop index "instances_live_index"');
    this.addSql('drop index "instances_slot_index"');
  }
}
