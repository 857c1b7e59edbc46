import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table accounts (
  id text not null,
  email text not null,
  name text not null,
  email_verified_at timestamptz(3) null,
  met_unverified boolean not null default false,
  token_version int not null default 0,
  balance_nano_usd bigint not null default '0',
  created_at timestamptz(3) not null,
  primary key (id)
);
alter table accounts add constraint accounts_email_unique unique (email);
alter table accounts add constraint accounts_balance_not_negative check (balance_nano_usd >= 0);

create table api_keys (
  id text not null,
  account_id text not null,
  name text not null,
  hash bytea not null,
  prefix text not null,
  last4 text not null,
  created_at timestamptz(3) not null,
  last_used_at timestamptz(3) null,
  expires_at timestamptz(3) null,
  revoked_at timestamptz(3) null,
  primary key (id)
);
create index api_keys_account_index on api_keys (account_id, created_at, id);
alter table api_keys add constraint api_keys_hash_unique unique (hash);

create table audit_entries (
  id text not null,
  account_id text null,
  instance_id text null,
  at timestamptz(3) not null,
  actor text not null,
  action text not null,
  target text null,
  request_id text null,
  address text null,
  primary key (id)
);
create index audit_entries_at_index on audit_entries (at, id);
create index audit_entries_account_index on audit_entries (account_id, at, id);
create index audit_entries_instance_index on audit_entries (instance_id, at, id);

create table event_counters (
  account_id text not null,
  last_seq bigint not null default '0',
  primary key (account_id)
);

create table instances (
  id text not null,
  account_id text not null,
  name text not null,
  runtime_id text not null,
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3) null,
  desired_status text not null,
  power_generation bigint not null default '1',
  content_generation bigint not null default '0',
  applied_content_generation bigint not null default '0',
  restart_generation bigint not null default '0',
  applied_restart_generation bigint not null default '0',
  status text not null,
  transition_kind text null,
  transition_started_at timestamptz(3) null,
  transition_attempt int not null default 0,
  transition_step text null,
  reason_code text null,
  reason_message text null,
  reason_at timestamptz(3) null,
  reason_retryable boolean null,
  error_generation bigint null,
  epoch bigint not null default '0',
  boot_id text null,
  kill_first boolean not null default false,
  start_not_before timestamptz(3) null,
  has_slot boolean not null default false,
  queued_at timestamptz(3) null,
  deaths timestamptz[] not null default '{}',
  shard smallint not null,
  started_at timestamptz(3) null,
  stopped_at timestamptz(3) null,
  primary key (id)
);
create index instances_account_index on instances (account_id, created_at, id);
create index instances_shard_index on instances (shard) where boot_id is not null;
create index instances_queued_index on instances (queued_at) where queued_at is not null;
alter table instances add constraint instances_runtime_unique unique (runtime_id);
alter table instances add constraint instances_status_known check (status in ('provisioning', 'running', 'stopped', 'destroying', 'error'));
alter table instances add constraint instances_desired_known check (desired_status in ('running', 'stopped', 'destroyed'));

create table event_occurrences (
  instance_id text not null,
  key text not null,
  primary key (instance_id, key)
);

create table events (
  id text not null,
  account_id text not null,
  seq bigint not null,
  type text not null,
  instance_id text null,
  agent_slug text null,
  agent_name text null,
  source text null,
  message_id text null,
  content text null,
  content_truncated boolean not null default false,
  job_name text null,
  error_code text null,
  error_message text null,
  deleted boolean not null default false,
  created_at timestamptz(3) not null,
  primary key (id)
);
create index events_instance_index on events (instance_id, seq);
alter table events add constraint events_seq_unique unique (account_id, seq);

create table agents (
  id text not null,
  instance_id text not null,
  account_id text not null,
  slug text not null,
  name text not null,
  display_name text not null,
  model text not null,
  gateway_agent_id text not null,
  status text not null,
  generation bigint not null,
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3) null,
  removed_at timestamptz(3) null,
  primary key (id)
);
create index agents_instance_index on agents (instance_id, created_at, id);
create index agents_account_index on agents (account_id);
create unique index agents_slug_unique on agents (instance_id, slug) where deleted_at is null;
alter table agents add constraint agents_gateway_agent_unique unique (gateway_agent_id);
alter table agents add constraint agents_status_known check (status in ('pending', 'active', 'error', 'deleting'));

create table conversations (
  id text not null,
  agent_id text not null,
  session_id text not null,
  last_number bigint not null default '0',
  created_at timestamptz(3) not null,
  primary key (id)
);
alter table conversations add constraint conversations_session_unique unique (agent_id, session_id);

create table agent_files (
  agent_id text not null,
  path text not null,
  content text null,
  generation bigint not null,
  applied boolean not null default false,
  updated_at timestamptz(3) not null,
  primary key (agent_id, path)
);

create table invites (
  code text not null,
  max_uses int not null,
  used_count int not null default 0,
  email text null,
  credit_nano_usd bigint null,
  expires_at timestamptz(3) null,
  created_at timestamptz(3) not null,
  primary key (code)
);
alter table invites add constraint invites_not_overused check (used_count <= max_uses);

create table login_codes (
  account_id text not null,
  code_hash text not null,
  expires_at timestamptz(3) not null,
  tries_left int not null,
  consumed_at timestamptz(3) null,
  sent_at timestamptz[] not null,
  primary key (account_id)
);

create table messages (
  id text not null,
  account_id text not null,
  instance_id text not null,
  agent_id text not null,
  conversation_id text not null,
  number bigint not null,
  role text not null,
  content text not null,
  sender_type text not null,
  sender_id text not null,
  sender_name text not null,
  created_at timestamptz(3) not null,
  status text null,
  error_reason text null,
  error_message text null,
  trace_id char(32) null,
  owner text null,
  boot_id text null,
  attempt int not null default 0,
  sent_at timestamptz(3) null,
  deaths int not null default 0,
  abort_due boolean not null default false,
  ended_at timestamptz(3) null,
  primary key (id)
);
create index messages_history_index on messages (agent_id, created_at, id);
create index messages_instance_index on messages (instance_id);
create index messages_account_index on messages (account_id);
create index messages_pending_index on messages (instance_id, conversation_id, number) where status = 'pending';
create index messages_abort_due_index on messages (instance_id) where abort_due;
alter table messages add constraint messages_number_unique unique (conversation_id, number, role);
alter table messages add constraint messages_trace_unique unique (trace_id);
alter table messages add constraint messages_role_known check (role in ('user', 'agent'));
alter table messages add constraint messages_status_known check (status in ('pending', 'completed', 'failed', 'cancelled'));
alter table messages add constraint messages_turn_is_reply check ((role = 'agent') = (status is not null));

create table model_calls (
  id bigint generated always as identity not null primary key,
  account_id text not null,
  instance_id text not null,
  agent_id text not null,
  message_id text null,
  model text not null,
  input_tokens int not null,
  output_tokens int not null,
  at timestamptz(3) not null default now()
);
create index model_calls_account_index on model_calls (account_id, at);
create index model_calls_instance_index on model_calls (instance_id, at);
create index model_calls_agent_index on model_calls (agent_id, at);
create index model_calls_message_index on model_calls (message_id);

create table outbox (
  id bigint generated always as identity not null primary key,
  workflow text not null,
  subject_id text not null,
  created_at timestamptz(3) not null default now(),
  claimed_until timestamptz(3) null
);

create table processes (
  id text not null,
  kind text not null,
  started_at timestamptz(3) not null,
  seen_at timestamptz(3) not null,
  primary key (id)
);

create table runtime_intervals (
  id text not null,
  instance_id text not null,
  account_id text not null,
  boot_id text not null,
  started_at timestamptz(3) not null,
  ended_at timestamptz(3) null,
  lost_at timestamptz(3) null,
  primary key (id)
);
create index runtime_intervals_instance_index on runtime_intervals (instance_id, started_at);
create index runtime_intervals_account_index on runtime_intervals (account_id, started_at);
create unique index runtime_intervals_open_unique on runtime_intervals (instance_id) where ended_at is null;
alter table runtime_intervals add constraint runtime_intervals_ordered check (ended_at >= started_at);

create table transfers (
  id text not null,
  account_id text not null,
  at timestamptz(3) not null,
  kind text not null,
  from_book text not null,
  to_book text not null,
  amount_nano_usd bigint not null,
  interval_id text null,
  span_from timestamptz(3) null,
  span_to timestamptz(3) null,
  price_nano_usd_per_hour bigint null,
  reason text null,
  dedupe_key text not null,
  primary key (id)
);
create index transfers_account_index on transfers (account_id, at, id);
create index transfers_interval_index on transfers (interval_id);
alter table transfers add constraint transfers_dedupe_key_unique unique (dedupe_key);
alter table transfers add constraint transfers_amount_positive check (amount_nano_usd > 0);
alter table transfers add constraint transfers_kind_known check (kind in ('credit', 'debit', 'reversal', 'writeoff'));
alter table transfers add constraint transfers_sides_differ check (from_book <> to_book);

create table watch_shards (
  shard smallint not null,
  owner text null,
  epoch bigint not null default '0',
  expires_at timestamptz(3) null,
  alive_until timestamptz(3) null,
  primary key (shard)
);
`;

const FOREIGN_KEYS = `
alter table api_keys add constraint api_keys_account_fk foreign key (account_id) references accounts (id);
alter table event_counters add constraint event_counters_account_fk foreign key (account_id) references accounts (id) on update cascade on delete cascade;
alter table instances add constraint instances_account_fk foreign key (account_id) references accounts (id);
alter table event_occurrences add constraint event_occurrences_instance_fk foreign key (instance_id) references instances (id);
alter table events add constraint events_account_fk foreign key (account_id) references accounts (id);
alter table events add constraint events_instance_fk foreign key (instance_id) references instances (id) on delete no action;
alter table agents add constraint agents_instance_fk foreign key (instance_id) references instances (id);
alter table agents add constraint agents_account_fk foreign key (account_id) references accounts (id);
alter table conversations add constraint conversations_agent_fk foreign key (agent_id) references agents (id);
alter table agent_files add constraint agent_files_agent_fk foreign key (agent_id) references agents (id);
alter table login_codes add constraint login_codes_account_fk foreign key (account_id) references accounts (id) on update cascade on delete cascade;
alter table messages add constraint messages_account_fk foreign key (account_id) references accounts (id);
alter table messages add constraint messages_instance_fk foreign key (instance_id) references instances (id);
alter table messages add constraint messages_agent_fk foreign key (agent_id) references agents (id);
alter table messages add constraint messages_conversation_fk foreign key (conversation_id) references conversations (id);
alter table model_calls add constraint model_calls_account_fk foreign key (account_id) references accounts (id);
alter table model_calls add constraint model_calls_instance_fk foreign key (instance_id) references instances (id);
alter table model_calls add constraint model_calls_agent_fk foreign key (agent_id) references agents (id);
alter table model_calls add constraint model_calls_message_fk foreign key (message_id) references messages (id) on delete set null;
alter table runtime_intervals add constraint runtime_intervals_instance_fk foreign key (instance_id) references instances (id);
alter table runtime_intervals add constraint runtime_intervals_account_fk foreign key (account_id) references accounts (id);
alter table transfers add constraint transfers_account_fk foreign key (account_id) references accounts (id);
alter table transfers add constraint transfers_interval_fk foreign key (interval_id) references runtime_intervals (id) on delete no action;
`;

/** A ledger line is final: corrections are new lines. */
const LEDGER_IS_FINAL = `
create function refuse_ledger_change() returns trigger language plpgsql as $$
begin
  raise exception 'ledger lines are never changed or deleted';
end $$;
create trigger transfers_are_final before update or delete on transfers
  for each row execute function refuse_ledger_change();
create trigger transfers_are_kept before truncate on transfers
  for each statement execute function refuse_ledger_change();
`;

/** Whoever waits is told at the commit. It only speeds things up: everybody also looks by himself. */
const NOTIFICATIONS = `
create function notify_outbox() returns trigger language plpgsql as $$
begin
  perform pg_notify('outbox', '');
  return null;
end $$;
create trigger outbox_notifies after insert on outbox for each statement execute function notify_outbox();

create function notify_instance() returns trigger language plpgsql as $$
begin
  perform pg_notify('instance', new.id);
  return null;
end $$;
create trigger instances_notify after update on instances for each row execute function notify_instance();

create function notify_turn() returns trigger language plpgsql as $$
begin
  perform pg_notify('turn', new.id || ' ' || new.conversation_id);
  return null;
end $$;
create trigger messages_notify_end after update of status on messages
  for each row when (old.status = 'pending' and new.status <> 'pending') execute function notify_turn();
`;

const SHARDS = `
insert into watch_shards (shard) select generate_series(0, 15);
`;

/** Everything that the first release needs. */
export class Initial extends Migration {
  override up(): void {
    for (const sql of [TABLES, FOREIGN_KEYS, LEDGER_IS_FINAL, NOTIFICATIONS, SHARDS]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('The first migration cannot be undone: restore a backup instead.');
  }
}
