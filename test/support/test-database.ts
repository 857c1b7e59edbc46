import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client } from 'pg';
import { z } from 'zod';
import { grantRoles } from '../../database/grant-roles.ts';
import type { RoleName } from '../../database/grants.ts';
import { createOrm } from '../../database/orm.ts';
import { migrate } from '../../database/migrate.ts';
import { postgresAccount } from '../../local/postgres/postgres-account.ts';
import { startPostgres } from '../../local/postgres/postgres.ts';
import { makeMemoryFolder } from './memory-folder.ts';
import { testRunDir } from './run-folder.ts';
import { startOnce } from './test-run.ts';

/** Where the databases of the tests lie: `TABLESPACE`, or PostgreSQL's own. */
const server = z.object({ url: z.url(), tablespace: z.string() });
const TABLESPACE = 'in_memory';
/** With a character that a URL must escape. */
const ROLE_PASSWORD = 'of a role';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A database of its own with the whole schema and no rows, on the PostgreSQL of this run. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { url: template, tablespace } = await startOnce('postgres', server, startMigrated);
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = databaseUrl(template, 'postgres');
  const from = `template ${new URL(template).pathname.slice(1)} strategy file_copy`;
  await execute(admin, `create database ${name} ${from} tablespace ${tablespace}`);
  return {
    url: databaseUrl(template, name),
    drop: () => execute(admin, `drop database if exists ${name} with (force)`),
  };
}

export interface TestOrm {
  url: string;
  orm: MikroORM;
  close(): Promise<void>;
}

/** A test database, open. */
export async function openTestOrm(): Promise<TestOrm> {
  const database = await createTestDatabase();
  const orm = await createOrm(database.url);
  return {
    url: database.url,
    orm,
    async close() {
      await orm.close();
      await database.drop();
    },
  };
}

/** An empty database on the PostgreSQL of this run, for a program that is not ours. It goes with the run. */
export async function createEmptyDatabase(): Promise<URL> {
  const { url } = await startOnce('postgres', server, startMigrated);
  const name = `test_${randomBytes(8).toString('hex')}`;
  await execute(databaseUrl(url, 'postgres'), `create database ${name}`);
  return new URL(databaseUrl(url, name));
}

/** The same database as the user of one process, with exactly its privileges. */
export function asRole(url: string, name: RoleName): string {
  return Object.assign(new URL(url), { username: `thermidora_${name}`, password: ROLE_PASSWORD }).toString();
}

async function startMigrated(): Promise<z.output<typeof server>> {
  const { url } = await startPostgres({ dataDir: join(testRunDir(), 'postgres'), durable: false });
  const urls = { api: asRole(url, 'api'), worker: asRole(url, 'worker'), relay: asRole(url, 'relay') };
  await migrate(url, { after: (em) => grantRoles(em, { urls, randomBytes }) });
  return { url, tablespace: await createTablespace(url) };
}

/**
 * A database is some 600 files, of a few kilobytes each. A file system on a disk takes up to half a second of processor time to make
 * them while as many were just deleted, and hundreds of databases come and go in a run.
 */
async function createTablespace(url: string): Promise<string> {
  const directory = await makeMemoryFolder();
  if (directory === null) return 'pg_default';
  const account = await postgresAccount();
  await account.own(directory);
  await execute(url, `create tablespace ${TABLESPACE} location '${directory}'`);
  return TABLESPACE;
}

function databaseUrl(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).toString();
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
