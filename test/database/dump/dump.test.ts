import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { headerLine } from '../../../database/dump/dump-format.ts';
import { DumpBusyError, readDump } from '../../../database/dump/read-dump.ts';
import { restoreDump } from '../../../database/dump/restore-dump.ts';
import { newAgent, newInstance } from '../../factories.ts';
import { PATIENCE_MS } from '../../support/eventually.ts';
import { createEmptyDatabase, openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const ODD = `a "quoted", \\back\\slash (bracket) {brace} 'single'\nline\ttab 🦞 \u0001\u2028\u2029\r`;

let database: TestOrm;
let client: Client;
let lines: string[];

beforeAll(async () => {
  database = await openTestOrm();
  client = new Client({ connectionString: database.url });
  await client.connect();
  const { orm } = database;
  const { instanceId, accountId } = await newInstance(orm, { name: ODD });
  await newInstance(orm, { name: '' });
  await client.query(`update accounts set name = $1, balance_nano_usd = 9007199254740993 where id = $2`, [ODD, accountId]);
  const { agentId } = await newAgent(orm, { instance: instanceId, account: accountId, displayName: ODD });
  await client.query(
    `insert into agent_files (agent_id, path, content, generation, updated_at) select $1, 'file-' || n, repeat('x', 100000), 1, now() from generate_series(1, 120) n`,
    [agentId],
  );
  await client.query('select setval(pg_get_serial_sequence($1, $2), 4711)', ['outbox', 'id']);
  lines = await dump(database.url);
});
afterAll(async () => {
  await client.end();
  await database.close();
});

async function dump(url: string): Promise<string[]> {
  const found: string[] = [];
  for await (const line of readDump(url, { now: new Date(), signal: AbortSignal.timeout(PATIENCE_MS) })) found.push(line);
  return found;
}

async function* given(texts: readonly string[]): AsyncGenerator<string> {
  yield* texts;
}

const withoutHeader = (texts: readonly string[]) => texts.slice(1);

test('a restored database has every row, sequence and constraint of the one that was dumped', async () => {
  const url = (await createEmptyDatabase()).href;
  expect(await restoreDump(url, given(lines))).toBeGreaterThan(120);
  expect(withoutHeader(await dump(url))).toEqual(withoutHeader(lines));
  const restored = new Client({ connectionString: url });
  await restored.connect();
  const shape = async (of: Client) =>
    (
      await of.query(
        `select conrelid::regclass::text as of, conname, pg_get_constraintdef(oid) as definition, convalidated from pg_constraint
          where connamespace = 'public'::regnamespace
         union all
         select tgrelid::regclass::text, tgname, tgenabled::text, true from pg_trigger where not tgisinternal order by 1, 2`,
      )
    ).rows;
  expect(await shape(restored)).toEqual(await shape(client));
  expect((await restored.query('select name from accounts where name = $1', [ODD])).rowCount).toBe(1);
  await restored.end();
});

test('a database that is in use is not restored into, and stays as it is', async () => {
  await expect(restoreDump(database.url, given(lines))).rejects.toThrow('Restore into an empty one');
  expect(withoutHeader(await dump(database.url))).toEqual(withoutHeader(lines));
});

test.each([
  ['has no end', (all: string[]) => all.slice(0, -1), 'its end is missing'],
  ['lacks a row', (all: string[]) => all.filter((line) => !line.includes('file-77')), 'rows instead of'],
  ['is cut in a line', (all: string[]) => [...all.slice(0, 5), '{"table'], 'no JSON'],
  ['is another file', () => ['{"hello": "world"}'], 'no backup of a database'],
  [
    'is of a newer version',
    (all: string[]) => [all[0]?.replace('"migrations":[', '"migrations":["Later",') ?? ''],
    'newer version',
  ],
])('a dump that %s is refused, leaves nothing, and the right one can be restored after it', async (_, change, sentence) => {
  const url = (await createEmptyDatabase()).href;
  await expect(restoreDump(url, given(change(lines)))).rejects.toThrow(sentence);
  await restoreDump(url, given(lines));
  expect(withoutHeader(await dump(url))).toEqual(withoutHeader(lines));
});

test('a dump of an earlier version is restored with the schema of that version', async () => {
  const url = (await createEmptyDatabase()).href;
  const [header = '', ...rest] = lines;
  const { migrations } = headerLine.parse(JSON.parse(header));
  const earlier = JSON.stringify({ ...headerLine.parse(JSON.parse(header)), migrations: migrations.slice(0, -1) });
  const done = restoreDump(url, given([earlier, ...rest])).then(
    () => 'restored',
    (error: Error) => error.message,
  );
  // Its tables are those of this version, so only the schema tells.
  expect(await done).toMatch(/restored|The table .* of the backup is not the one/);
  const restored = new Client({ connectionString: url });
  await restored.connect();
  expect((await restored.query('select name from mikro_orm_migrations')).rowCount).toBe(migrations.length - 1);
  await restored.end();
});

test('of two dumps at once one is refused', async () => {
  const first = readDump(database.url, { now: new Date(), signal: AbortSignal.timeout(PATIENCE_MS) });
  await first.next();
  await expect(dump(database.url)).rejects.toBeInstanceOf(DumpBusyError);
  await first.return(undefined);
  expect((await dump(database.url)).length).toBe(lines.length);
});

test('a dump is what the database was at its beginning', async () => {
  const reading = readDump(database.url, { now: new Date(), signal: AbortSignal.timeout(PATIENCE_MS) });
  await reading.next();
  await newInstance(database.orm, { name: 'made meanwhile' });
  const found: string[] = [];
  for await (const line of reading) found.push(line);
  expect(found.join('')).not.toContain('made meanwhile');
});
