import { Migration } from '@mikro-orm/migrations';

const TABLES = `
create table idempotency_records (
  caller text not null,
  method text not null,
  path text not null,
  key text not null,
  fingerprint bytea not null,
  answer text not null,
  is_final boolean not null,
  created_at timestamptz(3) not null,
  primary key (caller, method, path, key)
);
create index idempotency_records_created_index on idempotency_records (created_at);
`;

/**
 * Not logged: a crash of the database may forget the running minute, and nothing that is counted is worth a sync to disk.
 * Every row is written over and over, so pages keep room for that.
 */
const COUNTERS = `
create unlogged table rate_windows (
  subject text not null,
  started_at timestamptz(3) not null,
  used int not null,
  primary key (subject)
) with (fillfactor = 50);
`;

/** What repeated calls have answered, and how much of its rate limit everybody has used. */
export class ApiGuards extends Migration {
  override up(): void {
    for (const sql of [TABLES, COUNTERS]) this.addSql(sql);
  }

  override down(): void {
    this.addSql('drop table idempotency_records; drop table rate_windows;');
  }
}
