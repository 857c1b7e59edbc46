import { Migration } from '@mikro-orm/migrations';

/** Prices have moments; an interval remembers how far it is charged, and what the rounding has left over. */
const METER = `
create table prices (
  starts_at timestamptz(3) not null,
  nano_usd_per_hour bigint not null,
  primary key (starts_at)
);
alter table prices add constraint prices_not_negative check (nano_usd_per_hour >= 0);

alter table runtime_intervals
  add column billed_until timestamptz(3) null,
  add column remainder int not null default 0,
  add column end_proven boolean not null default false,
  add column settled boolean not null default false;
alter table runtime_intervals add constraint runtime_intervals_billed_within check (billed_until >= started_at and (ended_at is null or billed_until <= ended_at));
alter table runtime_intervals add constraint runtime_intervals_remainder_known check (remainder >= 0 and remainder < 3600000);
create index runtime_intervals_unsettled_index on runtime_intervals (account_id, id) where not settled;
alter table runtime_intervals set (fillfactor = 70);
`;

const LEDGER = `
alter table transfers add constraint transfers_debit_has_span
  check (kind <> 'debit' or (interval_id is not null and span_from < span_to and price_nano_usd_per_hour is not null));

alter table accounts
  add column debited_until timestamptz(3) null,
  add column last_credit_at timestamptz(3) null,
  add column exhausts_at timestamptz(3) null,
  add column notice_at timestamptz(3) null,
  add column low_told_hours smallint null;
create index accounts_exhausts_index on accounts (exhausts_at) where exhausts_at is not null;
create index accounts_notice_index on accounts (notice_at) where notice_at is not null;
update accounts set last_credit_at = (select max(at) from transfers where account_id = accounts.id and kind = 'credit');
`;

const NOTICES = `
alter table events add column data text null;
`;

/** Running time is charged. */
export class Billing extends Migration {
  override up(): void {
    for (const sql of [METER, LEDGER, NOTICES]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('Charged money cannot be uncharged: restore a backup instead.');
  }
}
