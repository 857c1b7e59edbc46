import { Migration } from '@mikro-orm/migrations';

/**
 * A debit is told from all others by its interval and the beginning of its span, so that it needs no key of its own; and
 * lines of one moment are sorted when they are read, not by the index. Less to write and to keep of each line.
 */
const FEWER_INDEXES = `
drop index transfers_account_index;
create index transfers_account_index on transfers (account_id, at);
drop index transfers_interval_index;
create unique index transfers_debit_unique on transfers (interval_id, span_from) where kind = 'debit';
alter table transfers drop constraint transfers_dedupe_key_unique;
alter table transfers alter column dedupe_key drop not null;
alter table transfers add constraint transfers_key_known check (kind = 'debit' or dedupe_key is not null);
create unique index transfers_dedupe_key_unique on transfers (dedupe_key) where dedupe_key is not null;
`;

/** A correction is a line of its own, which says what it takes back; its key keeps it from being booked twice. */
const REVERSALS = `
alter table transfers add column reverses_id text null;
alter table transfers add constraint transfers_reversal_known
  check ((kind = 'reversal') = (reverses_id is not null) and (kind <> 'reversal' or dedupe_key = 'reversal:' || reverses_id));
`;

/**
 * A line has its account and its interval, and the interval is of that account: one look per statement instead of two
 * per line, which took longer than writing it. What a line points at is never deleted, so that nothing can come between.
 */
const LINES_STAND_ON_ROWS = `
alter table transfers drop constraint transfers_account_fk;
alter table transfers drop constraint transfers_interval_fk;
create function check_ledger_lines() returns trigger language plpgsql as $$
begin
  if exists (select from lines where interval_id is null and not exists (select from accounts where accounts.id = lines.account_id))
  or exists (select from lines where interval_id is not null and not exists (
       select from runtime_intervals i where i.id = lines.interval_id and i.account_id = lines.account_id))
  then
    raise foreign_key_violation using message = 'a ledger line needs its account, and an interval of that account';
  end if;
  if exists (select from lines where kind = 'reversal' and not exists (
       select from transfers line where line.id = lines.reverses_id and line.kind in ('credit', 'debit') and line.account_id = lines.account_id
          and line.amount_nano_usd = lines.amount_nano_usd and line.from_book = lines.to_book and line.to_book = lines.from_book))
  then
    raise check_violation using message = 'a reversal takes back exactly one credit or debit of its account';
  end if;
  return null;
end $$;
create trigger transfers_stand_on_rows after insert on transfers referencing new table as lines
  for each statement execute function check_ledger_lines();

create function refuse_removal() returns trigger language plpgsql as $$
begin
  raise exception 'accounts and running times are never deleted: the ledger stands on them';
end $$;
create trigger accounts_are_kept before delete or update of id on accounts for each row execute function refuse_removal();
create trigger accounts_are_not_emptied before truncate on accounts for each statement execute function refuse_removal();
create trigger runtime_intervals_are_kept before delete or update of id, account_id on runtime_intervals
  for each row execute function refuse_removal();
create trigger runtime_intervals_are_not_emptied before truncate on runtime_intervals
  for each statement execute function refuse_removal();
`;

/** What a sweep writes, checks and keeps of a ledger line becomes less. */
export class Ledger extends Migration {
  override up(): void {
    for (const sql of [FEWER_INDEXES, REVERSALS, LINES_STAND_ON_ROWS]) this.addSql(sql);
  }

  override down(): void {
    throw new Error('Debits that were written without a key cannot be given one: restore a backup instead.');
  }
}
