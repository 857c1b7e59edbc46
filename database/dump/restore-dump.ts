import { Client, escapeIdentifier } from 'pg';
import { migrate } from '../migrate.ts';
import { migrationsList } from '../migrations/list.ts';
import { bodyLine, headerLine, MIGRATIONS, ROW_STYLE, TABLES } from './dump-format.ts';
import type { DumpedTable, DumpHeader } from './dump-format.ts';

/** Rows of one statement: a row has a few mebibytes at most. */
const ROWS = 50;
const ROWS_BYTES = 8 * 1024 ** 2;

/** This dump cannot be restored here, for the reason that the message says. */
export class RestoreError extends Error {}

/**
 * Fills an empty database with a dump: brings it to the schema of the dump, then writes all rows in one transaction, so that a
 * restore that breaks off can be repeated. Says how many rows it has written. Throws RestoreError.
 */
export async function restoreDump(databaseUrl: string, lines: AsyncIterable<string>): Promise<number> {
  const all = lines[Symbol.asyncIterator]();
  const header = readHeader((await all.next()).value);
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await requireEmpty(client);
    await migrate(databaseUrl, { to: header.migrations.at(-1) });
    await client.query('begin');
    await requireSameSchema(client, header);
    const restored = await fill(client, all);
    await client.query('commit');
    return restored;
  } finally {
    await client.end();
  }
}

function readHeader(first: unknown): DumpHeader {
  const header = headerLine.safeParse(typeof first === 'string' ? parsed(first) : first);
  if (!header.success) throw new RestoreError('The file is no backup of a database that this version can read.');
  const known = new Set(migrationsList.map(({ name }) => name));
  if (header.data.migrations.some((name) => !known.has(name)))
    throw new RestoreError('The backup is of a newer version. Restore it with that version or a later one.');
  return header.data;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RestoreError('The backup is damaged: a line of it is no JSON.', { cause });
  }
}

async function requireEmpty(client: Client): Promise<void> {
  const { rows } = await client.query<{ isOurs: boolean }>(`select to_regclass('accounts') is not null as "isOurs"`);
  if (!rows[0]?.isOurs) return;
  const used = await client.query<{ isUsed: boolean }>(
    'select exists (select from accounts) or exists (select from instances) as "isUsed"',
  );
  if (used.rows[0]?.isUsed)
    throw new RestoreError('The database has accounts or instances. Restore into an empty one: nothing is overwritten.');
}

async function requireSameSchema(client: Client, { migrations }: DumpHeader): Promise<void> {
  const { rows } = await client.query<{ name: string }>(MIGRATIONS);
  if (rows.map(({ name }) => name).join() !== migrations.join())
    throw new RestoreError('The database has the schema of another version than the backup. Restore into an empty database.');
}

/** Writes the rows without triggers, which have done their work, and without foreign keys, which hold again at the end. */
async function fill(client: Client, lines: AsyncIterator<string>): Promise<number> {
  for (const style of ROW_STYLE) await client.query(style);
  const tables = new Map((await client.query<DumpedTable>(TABLES)).rows.map((table) => [table.table, table]));
  const names = [...tables.keys()].map(escapeIdentifier);
  const foreign = await client.query<{ of: string; name: string; definition: string }>(
    `select conrelid::regclass::text as of, conname as name, pg_get_constraintdef(oid) as definition
       from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`,
  );
  for (const { of, name } of foreign.rows) await client.query(`alter table ${of} drop constraint ${escapeIdentifier(name)}`);
  for (const name of names) await client.query(`alter table ${name} disable trigger user`);
  await client.query(`truncate ${names.join(', ')}`);
  const count = await writeLines(client, tables, lines);
  for (const name of names) await client.query(`alter table ${name} enable trigger user`);
  for (const { of, name, definition } of foreign.rows)
    await client.query(`alter table ${of} add constraint ${escapeIdentifier(name)} ${definition}`);
  return count;
}

async function writeLines(
  client: Client,
  tables: ReadonlyMap<string, DumpedTable>,
  lines: AsyncIterator<string>,
): Promise<number> {
  let table: DumpedTable | null = null;
  let [count, batch, bytes] = [0, [] as string[], 0];
  const flush = async () => {
    if (table && batch.length > 0) await insert(client, table, batch);
    [count, batch, bytes] = [count + batch.length, [], 0];
  };
  for (;;) {
    const next = await lines.next();
    if (next.done) throw new RestoreError('The backup is incomplete: its end is missing.');
    const read = bodyLine.safeParse(parsed(next.value));
    if (!read.success) throw new RestoreError('The backup is damaged: a line of it has another form.');
    const { data } = read;
    if (typeof data === 'string') {
      if (!table) throw new RestoreError('The backup is damaged: a row belongs to no table.');
      batch.push(data);
      bytes += data.length;
      if (batch.length >= ROWS || bytes >= ROWS_BYTES) await flush();
      continue;
    }
    await flush();
    if ('table' in data) table = requireTable(tables, data);
    else if ('sequence' in data) await client.query('select setval($1, $2)', [escapeIdentifier(data.sequence), data.last]);
    else if (data.rows === count) return count;
    else throw new RestoreError(`The backup is incomplete: it has ${count} rows instead of ${data.rows}.`);
  }
}

function requireTable(tables: ReadonlyMap<string, DumpedTable>, dumped: DumpedTable): DumpedTable {
  const table = tables.get(dumped.table);
  if (table && table.columns.join() === dumped.columns.join() && table.stored.join() === dumped.stored.join()) return table;
  throw new RestoreError(`The table ${dumped.table} of the backup is not the one that this version makes.`);
}

async function insert(client: Client, { table, stored }: DumpedTable, rows: readonly string[]): Promise<void> {
  const name = escapeIdentifier(table);
  const columns = stored.map(escapeIdentifier);
  await client.query(
    `insert into ${name} (${columns.join(', ')}) overriding system value
     select ${columns.map((column) => `(r.v).${column}`).join(', ')} from (select l::${name} as v from unnest($1::text[]) l offset 0) r`,
    [rows],
  );
}
