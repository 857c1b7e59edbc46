import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table webhooks (
  id text not null,
  account_id text not null,
  instance_id text null,
  agent_id text null,
  url text not null,
  events text[] not null,
  description text null,
  enabled boolean not null default true,
  disabled_reason text null,
  secret text not null,
  secret_last4 text not null,
  previous_secret text null,
  previous_secret_until timestamptz(3) null,
  failures int not null default 0,
  failing_since timestamptz(3) null,
  not_before timestamptz(3) null,
  drained_until timestamptz(3) null,
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3) null,
  primary key (id)
);
create index webhooks_account_index on webhooks (account_id, created_at, id);
create index webhooks_instance_index on webhooks (instance_id);
create index webhooks_agent_index on webhooks (agent_id);
alter table webhooks add constraint webhooks_disabled_reason_known check (disabled_reason in ('gone', 'failing'));

create table webhook_deliveries (
  id text not null,
  webhook_id text not null,
  event_id text not null,
  event_type text not null,
  body text not null,
  is_test boolean not null default false,
  status text not null default 'pending',
  attempts int not null default 0,
  tries int not null default 0,
  next_attempt_at timestamptz(3) null,
  created_at timestamptz(3) not null,
  primary key (id)
);
create index webhook_deliveries_webhook_index on webhook_deliveries (webhook_id, created_at, id);
create index webhook_deliveries_pending_index on webhook_deliveries (webhook_id, next_attempt_at) where status = 'pending';
alter table webhook_deliveries add constraint webhook_deliveries_status_known check (status in ('pending', 'succeeded', 'failed'));
alter table webhook_deliveries add constraint webhook_deliveries_due_while_pending check ((status = 'pending') = (next_attempt_at is not null));

create table webhook_attempts (
  delivery_id text not null,
  number int not null,
  at timestamptz(3) not null,
  status_code smallint null,
  duration_ms int not null,
  error text null,
  response text null,
  primary key (delivery_id, number)
);

alter table events add column recorded_at timestamptz(3) not null default clock_timestamp();
`;

const FOREIGN_KEYS = `
alter table webhooks add constraint webhooks_account_fk foreign key (account_id) references accounts (id);
alter table webhooks add constraint webhooks_instance_fk foreign key (instance_id) references instances (id) on delete no action;
alter table webhooks add constraint webhooks_agent_fk foreign key (agent_id) references agents (id) on delete no action;
alter table webhook_deliveries add constraint webhook_deliveries_webhook_fk foreign key (webhook_id) references webhooks (id);
alter table webhook_attempts add constraint webhook_attempts_delivery_fk foreign key (delivery_id) references webhook_deliveries (id) on update no action on delete cascade;
`;

/**
 * Whoever delivers for a webhook hears at once of what is new. The outbox is no longer announced by a statement that
 * adds nothing to it, since each recorded event now is such a statement while somebody delivers.
 */
const NOTIFICATIONS = `
create function notify_webhook() returns trigger language plpgsql as $$
begin
  perform pg_notify('webhook', webhook_id) from (select distinct webhook_id from added) as concerned;
  return null;
end $$;
create trigger webhook_deliveries_notify after insert on webhook_deliveries
  referencing new table as added for each statement execute function notify_webhook();

create or replace function notify_outbox() returns trigger language plpgsql as $$
begin
  if exists (select from added) then
    perform pg_notify('outbox', '');
  end if;
  return null;
end $$;
drop trigger outbox_notifies on outbox;
create trigger outbox_notifies after insert on outbox
  referencing new table as added for each statement execute function notify_outbox();
`;

/** Webhooks, their deliveries and attempts; what events need to be queried and to expire. */
export class Webhooks extends Migration {
  override up(): void {
    for (const sql of [TABLES, FOREIGN_KEYS, NOTIFICATIONS]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('This migration cannot be undone: restore a backup instead.');
  }
}
