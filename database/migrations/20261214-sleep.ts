import { Migration } from '@mikro-orm/migrations';

/** Instances that sleep while they are not used. Processes of the version before write rows that are awake. */
export class Sleep extends Migration {
  override up(): void {
    this.addSql(`set local lock_timeout = '10s'`);
    this.addSql(`alter table "instances"
      add column "sleep_after_ms" int null,
      add column "sleep_state" text not null default 'awake',
      add column "sleep_since" timestamptz(3) null,
      add column "wakes_at" timestamptz(3) null,
      add column "wake_ms" int null,
      add column "used_at" timestamptz(3) null,
      add constraint "instances_sleep_known" check (sleep_state in ('awake', 'asleep', 'waking'))`);
    this.addSql('create index "instances_wakes_index" on "instances" ("wakes_at") where wakes_at is not null');
    this.addSql('alter table "cron_jobs" add column "due_at" timestamptz(3) null');
    this.addSql('alter table "events" add column "late_ms" int null');
  }

  override down(): void {
    this.addSql('alter table "events" drop column "late_ms"');
    this.addSql('alter table "cron_jobs" drop column "due_at"');
    this.addSql(`alter table "instances"
      drop column "sleep_after_ms", drop column "sleep_state", drop column "sleep_since",
      drop column "wakes_at", drop column "wake_ms", drop column "used_at"`);
  }
}
