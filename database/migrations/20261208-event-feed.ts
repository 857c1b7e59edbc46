import { Migration } from '@mikro-orm/migrations';

/** Tells those who follow the events of an account of each new one, at its commit. */
export class EventFeed extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(`
create function notify_event() returns trigger language plpgsql as $$
begin
  perform pg_notify('event', new.account_id);
  return null;
end $$;
create trigger event_counters_notify after insert or update on event_counters for each row execute function notify_event();
`);
  }

  override down(): void {
    this.addSql('drop trigger event_counters_notify on event_counters; drop function notify_event();');
  }
}
