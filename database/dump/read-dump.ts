import { Client, escapeIdentifier } from 'pg';
import { FORMAT, MIGRATIONS, ROW_STYLE, TABLES } from './dump-format.ts';
import type { DumpedTable, DumpHeader } from './dump-format.ts';

/** A row has a few mebibytes at most, so this many of them fit into memory. */
const ROWS = 50;
/** Any number that nothing else locks. */
const DUMP_LOCK = 724_310_440;

/** Another process makes a dump of this database. */
export class DumpBusyError extends Error {}

/**
 * Reads a whole database, as it is at one moment, as the lines of a dump. It locks nothing that processes need. Throws
 * DumpBusyError while another dump of it is made, and what PostgreSQL says, such as that the user may not read a table.
 */
export async function* readDump(
  databaseUrl: string,
  { now, signal }: { now: Date; signal: AbortSignal },
): AsyncGenerator<string, undefined> {
  const client = new Client({ connectionString: databaseUrl, statement_timeout: 0, lock_timeout: 10_000 });
  // A connection that breaks fails the statement that runs, too.
  client.on('error', () => undefined);
  await client.connect();
  const stop = () => void client.end();
  signal.addEventListener('abort', stop);
  try {
    signal.throwIfAborted();
    await lock(client);
    await client.query('begin transaction isolation level repeatable read, read only');
    for (const style of ROW_STYLE) await client.query(style);
    yield line(await headerOf(client, now));
    let rows = 0;
    for (const table of (await client.query<DumpedTable>(TABLES)).rows) {
      yield line(table);
      for await (const row of rowsOf(client, table)) {
        rows += 1;
        yield line(row);
      }
    }
    // Not a part of the snapshot: read last, none is behind its table.
    const sequences = await sequencesOf(client);
    for (const sequence of sequences) yield line(sequence);
    yield line({ end: true, rows });
  } finally {
    signal.removeEventListener('abort', stop);
    await client.end();
  }
}

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** Held until the connection ends. */
async function lock(client: Client): Promise<void> {
  const { rows } = await client.query<{ isHeld: boolean }>('select pg_try_advisory_lock($1) as "isHeld"', [DUMP_LOCK]);
  if (!rows[0]?.isHeld) throw new DumpBusyError('Another process makes a backup of this database.');
}

async function headerOf(client: Client, now: Date): Promise<DumpHeader> {
  const [installation] = (await client.query<{ id: string }>('select id from installation')).rows;
  if (!installation) throw new Error('The database belongs to no installation yet.');
  const { rows } = await client.query<{ name: string }>(MIGRATIONS);
  return {
    format: FORMAT,
    installationId: installation.id,
    takenAt: now.toISOString(),
    migrations: rows.map(({ name }) => name),
  };
}

async function* rowsOf(client: Client, { table }: DumpedTable): AsyncGenerator<string> {
  await client.query(
    `declare dumped no scroll cursor for select dumped_row::text as row from only ${escapeIdentifier(table)} dumped_row`,
  );
  for (;;) {
    const { rows } = await client.query<{ row: string }>(`fetch ${ROWS} from dumped`);
    for (const { row } of rows) yield row;
    if (rows.length < ROWS) break;
  }
  await client.query('close dumped');
}

async function sequencesOf(client: Client): Promise<{ sequence: string; last: string }[]> {
  const { rows } = await client.query<{ sequence: string; last: string | null; isReadable: boolean }>(
    `select sequencename as sequence, last_value::text as last,
            has_sequence_privilege(format('%I.%I', schemaname, sequencename), 'select') as "isReadable"
       from pg_sequences where schemaname = 'public' and sequencename <> 'mikro_orm_migrations_id_seq' order by sequencename`,
  );
  // PostgreSQL shows no value of such a one, as of one that was never used.
  const hidden = rows.find(({ isReadable }) => !isReadable);
  if (hidden) throw new Error(`The user of the database may not read the sequence ${hidden.sequence}.`);
  return rows.flatMap(({ sequence, last }) => (last === null ? [] : [{ sequence, last }]));
}
