import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { createOrm } from '../../database/orm.ts';
import type { Config } from '../../lib/settings/config.ts';
import { checkStores } from '../../stores/check-stores.ts';
import { createEmptyDatabase, createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';
import { removeFolder } from '../support/remove-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Every program that opens both stores. */
const PROGRAMS = ['worker/main.ts', 'scripts/set-up-stores.ts'];
/** Those that have keys and no DATA_DIR. */
const WITH_KEYS = ['api/main.ts', 'relay/main.ts'];

interface Installation {
  database: TestDatabase;
  dataDir: string;
  masterKey: string;
  runtimeId: string;
}

/** What a program is started with. */
interface Given {
  url: string;
  dataDir: string;
  masterKeys: string;
}

let made = 0;
const databases: TestDatabase[] = [];
const directories: string[] = [];
const children: ChildProcess[] = [];
let ours: Installation;

const keyNamed = (name: string) => `${name}:${Buffer.alloc(32, (made += 1)).toString('base64')}`;

async function temporaryDataDir(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'wrong-store-'));
  directories.push(dataDir);
  return dataDir;
}

async function sql(url: string, ...statements: string[]): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let rows: unknown[] = [];
    for (const statement of statements) ({ rows } = await client.query<Record<string, unknown>>(statement));
    return rows;
  } finally {
    await client.end();
  }
}

/** An installation that was used: an instance was started once and has a customer's file in its storage. */
async function newInstallation(): Promise<Installation> {
  const database = await createTestDatabase();
  databases.push(database);
  const name = `store${(made += 1)}`;
  const runtimeId = `run_${name}`;
  await sql(
    database.url,
    `update installation set id = 'ins_${name}'`,
    `insert into accounts (id, email, name, created_at) values ('acc_${name}', '${name}@example.com', 'Test', now())`,
    `insert into instances (id, account_id, name, runtime_id, created_at, desired_status, status, shard, epoch)
     values ('inst_${name}', 'acc_${name}', 'Test', '${runtimeId}', now(), 'stopped', 'stopped', 0, 3)`,
  );
  const dataDir = await temporaryDataDir();
  await mkdir(join(dataDir, 'runtimes', runtimeId, 'state'), { recursive: true });
  await writeFile(join(dataDir, 'runtimes', runtimeId, 'state', 'marker'), 'of the customer');
  return { database, dataDir, runtimeId, masterKey: keyNamed('k1') };
}

const givenOf = ({ database, dataDir, masterKey }: Installation): Given => ({
  url: database.url,
  dataDir,
  masterKeys: masterKey,
});

/** What a process does at its start. */
async function check({ url, dataDir, masterKeys }: Given, RUNTIME: Config['RUNTIME'] = 'process'): Promise<void> {
  const [id = '', key = ''] = masterKeys.split(':');
  const orm = await createOrm(url);
  try {
    const config = { DATA_DIR: dataDir, RUNTIME, MASTER_KEYS: [{ id, key: Buffer.from(key, 'base64') }] };
    await checkStores(orm.em.fork(), { config, randomBytes: (size) => Buffer.alloc(size, 1) });
  } finally {
    await orm.close();
  }
}

async function run(args: readonly string[], env: Record<string, string>): Promise<{ code: unknown; output: string }> {
  const [program = '', ...rest] = args;
  const child = spawn(process.execPath, [join(ROOT, program), ...rest], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
  });
  children.push(child);
  const [output, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  return { code, output };
}

/** `npm start`, which ends at once should it go on. */
const npmStart = (env: Record<string, string>) => run(['local/start.js'], { ...env, PORT: 'high' });

const settingsOf = ({ url, dataDir, masterKeys }: Given) => ({
  DATABASE_URL: url,
  DATA_DIR: dataDir,
  MASTER_KEYS: masterKeys,
  TEMPORAL_ADDRESS: '127.0.0.1:1',
  SMTP_URL: 'print:',
  LOG_LEVEL: 'silent',
});

/** Everything that a start could have changed. */
async function contentOf({ url, dataDir }: Pick<Given, 'url' | 'dataDir'>): Promise<unknown> {
  const files = (await readdir(dataDir, { recursive: true })).toSorted();
  const [tables] = await sql(url, `select to_regclass('instances') is not null as "areThere"`);
  const isMigrated = JSON.stringify(tables) === '{"areThere":true}';
  const rows = isMigrated ? await sql(url, 'select id, runtime_id, deleted_at from instances order by id') : null;
  return { files, rows };
}

/** Each program refuses with this sentence, and nothing in either store is another than before. */
async function expectRefused(given: Given, sentence: string, programs: readonly string[] = PROGRAMS): Promise<void> {
  const before = await contentOf(given);
  const outcomes = await Promise.all(programs.map((program) => run([program], settingsOf(given))));
  for (const { code, output } of outcomes) {
    expect(output).toContain(sentence);
    expect(code).toBe(1);
  }
  expect(await contentOf(given)).toEqual(before);
  await expectMarker(ours);
}

async function expectMarker({ dataDir, runtimeId }: Installation): Promise<void> {
  expect(await readFile(join(dataDir, 'runtimes', runtimeId, 'state', 'marker'), 'utf8')).toBe('of the customer');
}

beforeEach(async () => {
  ours = await newInstallation();
  await check(givenOf(ours));
});
afterEach(async () => {
  // One that started after all would run for ever.
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const database of databases.splice(0)) await database.drop();
});
afterAll(async () => {
  for (const directory of directories) await removeFolder(directory);
});

describe('a start is refused in a sentence, and nothing is deleted or changed', () => {
  test('with an empty database, which stays empty', async () => {
    const url = String(await createEmptyDatabase());
    await expectRefused({ ...givenOf(ours), url }, 'the database knows none of them', ['scripts/set-up-stores.ts']);
  });

  test('with a database that was only just made', async () => {
    const database = await createTestDatabase();
    databases.push(database);
    await sql(database.url, `update installation set id = 'ins_new'`);
    await expectRefused({ ...givenOf(ours), url: database.url }, 'the database knows none of them');
  });

  test('with the database of another installation', async () => {
    const other = await newInstallation();
    await check(givenOf(other));
    const [row] = await sql(other.database.url, 'select id from installation');
    await expectRefused({ ...givenOf(ours), url: other.database.url }, `The database belongs to the installation`);
    expect(row).toMatchObject({ id: expect.stringContaining('ins_store') });
    await expectMarker(other);
  });

  test('with a database of an earlier version that knows nothing of this DATA_DIR', async () => {
    const other = await newInstallation();
    await toEarlierVersion(other.database.url);
    await expectRefused({ ...givenOf(ours), url: other.database.url }, 'the database knows none of them', [
      'scripts/set-up-stores.ts',
    ]);
  });

  test('with a DATA_DIR that is new while the database is in use', async () => {
    await expectRefused({ ...givenOf(ours), dataDir: await temporaryDataDir() }, 'DATA_DIR has no mark of an installation');
  });

  test('with the DATA_DIR of another installation', async () => {
    const other = await newInstallation();
    await check(givenOf(other));
    await expectRefused({ ...givenOf(ours), dataDir: other.dataDir }, 'and DATA_DIR to ins_store');
    await expectMarker(other);
  });

  test('with another master key of the same name, by API and relay too', async () => {
    const programs = [...PROGRAMS, ...WITH_KEYS];
    const sentence = 'MASTER_KEYS has another key under the name k1';
    await expectRefused({ ...givenOf(ours), masterKeys: keyNamed('k1') }, sentence, programs);
  });

  test('with master keys of which this installation has used none, by API and relay too', async () => {
    const programs = [...PROGRAMS, ...WITH_KEYS];
    const sentence = 'MASTER_KEYS has none of the keys that this installation has used (k1)';
    await expectRefused({ ...givenOf(ours), masterKeys: keyNamed('k2') }, sentence, programs);
  });

  test('by npm start, with a new DATA_DIR and a database that is in use: no key is made', async () => {
    const given = { url: ours.database.url, dataDir: await temporaryDataDir() };
    const { code, output } = await npmStart({ DATABASE_URL: given.url, DATA_DIR: given.dataDir });
    expect([code, output]).toEqual([1, expect.stringContaining('The database of DATABASE_URL is in use')]);
    expect(await readdir(given.dataDir)).not.toContain('master-keys');
    await expectMarker(ours);
  });

  test('by npm start, when its keys or its PostgreSQL are gone from DATA_DIR', async () => {
    const keys = await npmStart({ DATABASE_URL: ours.database.url, DATA_DIR: ours.dataDir });
    expect([keys.code, keys.output]).toEqual([1, expect.stringContaining('its keys in')]);
    const cluster = await npmStart({ DATA_DIR: ours.dataDir });
    expect([cluster.code, cluster.output]).toEqual([1, expect.stringContaining('its PostgreSQL in')]);
    expect(await readdir(ours.dataDir)).not.toContain('master-keys');
    expect(await readdir(ours.dataDir)).not.toContain('postgres');
    await expectMarker(ours);
  });
});

/** The database as a version that knew no installations has left it. */
async function toEarlierVersion(url: string): Promise<void> {
  await sql(
    url,
    'drop table installation, key_canaries',
    `delete from mikro_orm_migrations where name like '20261204-installation%'`,
  );
}

describe('a start goes on by itself', () => {
  test('with a database that is in use and a new DATA_DIR where a cluster stores the instances, but not with that of others', async () => {
    const used = await newInstallation();
    await check(givenOf(used));
    const [first, second] = [join(used.dataDir, 'first'), join(used.dataDir, 'second')];
    for (const dataDir of [first, second]) await check({ ...givenOf(used), dataDir }, 'kubernetes');
    await check({ ...givenOf(used), dataDir: first }, 'kubernetes');
    await check({ ...givenOf(used), dataDir: first });
    await expect(check({ ...givenOf(used), dataDir: ours.dataDir }, 'kubernetes')).rejects.toThrow('belongs to the installation');
    await expect(check({ ...givenOf(used), dataDir: second, masterKeys: keyNamed('k1') }, 'kubernetes')).rejects.toThrow('k1');
  });

  test('with two that belong together, again and again, and with a new key before the old one', async () => {
    await check(givenOf(ours));
    const next = keyNamed('k2');
    const orm = await createOrm(ours.database.url);
    const keys = [next, ours.masterKey].map((pair) => pair.split(':'));
    const MASTER_KEYS = keys.map(([id = '', key = '']) => ({ id, key: Buffer.from(key, 'base64') }));
    const config = { DATA_DIR: ours.dataDir, MASTER_KEYS, RUNTIME: 'process' as const };
    await checkStores(orm.em.fork(), { config, randomBytes: (size) => Buffer.alloc(size, 1) });
    await orm.close();
    await check({ ...givenOf(ours), masterKeys: next });
    await expect(check({ ...givenOf(ours), masterKeys: keyNamed('k2') })).rejects.toThrow('under the name k2');
  });

  test('with a database and a DATA_DIR of an earlier version that know each other, many processes at once', async () => {
    const older = await newInstallation();
    await Promise.all(Array.from({ length: 4 }, () => check(givenOf(older))));
    const mark: unknown = JSON.parse(await readFile(join(older.dataDir, 'installation.json'), 'utf8'));
    expect(await sql(older.database.url, 'select id from installation')).toEqual([{ id: expect.any(String) }]);
    expect(await sql(older.database.url, 'select id from installation where claimed_at is not null')).toMatchObject([
      { id: (mark as { id: string }).id },
    ]);
  });

  test('with a backup of an earlier version, which gets the id of the DATA_DIR that knows its instances', async () => {
    await sql(ours.database.url, `update installation set id = 'ins_fresh', claimed_at = null`, 'delete from key_canaries');
    const mark = await readFile(join(ours.dataDir, 'installation.json'), 'utf8');
    await check(givenOf(ours));
    expect(await readFile(join(ours.dataDir, 'installation.json'), 'utf8')).toBe(mark);
    expect(mark).toContain(JSON.stringify((await sql(ours.database.url, 'select id from installation'))[0]).slice(6, -1));
  });

  test('after a start that died between marking DATA_DIR and marking the database', async () => {
    await sql(ours.database.url, 'update installation set claimed_at = null', 'delete from key_canaries');
    await check(givenOf(ours));
    expect(await sql(ours.database.url, 'select key_id from key_canaries')).toEqual([{ key_id: 'k1' }]);
  });

  test('but not with secrets that were stored with other keys before keys had proofs', async () => {
    const older = await newInstallation();
    await sql(
      older.database.url,
      `insert into instance_secrets (instance_id, key, value, updated_at)
       select id, 'TOKEN', 'v1.k1.AAAA.AAAA.AAAA', now() from instances`,
    );
    await expect(check(givenOf(older))).rejects.toThrow('cannot be read with MASTER_KEYS');
  });
});

describe('npm run store:adopt', () => {
  const adopt = (given: Given, ...args: string[]) => run(['scripts/store-adopt.ts', ...args], settingsOf(given));

  test('does nothing before it is told to, and then makes database, DATA_DIR and keys one installation', async () => {
    const given = { ...givenOf(ours), dataDir: await temporaryDataDir(), masterKeys: keyNamed('k1') };
    const unasked = await adopt(given);
    expect([unasked.code, unasked.output]).toEqual([1, expect.stringContaining('npm run store:adopt -- --yes')]);
    await expect(check(given)).rejects.toThrow('no mark');
    expect(await adopt(given, '--yes')).toMatchObject({ code: 0 });
    await check(given);
    await expect(check(givenOf(ours))).rejects.toThrow('another key');
    await expectMarker(ours);
  });
});
