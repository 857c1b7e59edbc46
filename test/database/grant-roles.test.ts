import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { createOrm } from '../../database/orm.ts';
import { grantRoles } from '../../database/grant-roles.ts';
import { GRANTS } from '../../database/grants.ts';
import type { RoleName } from '../../database/grants.ts';
import { asRole, openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

const NAMES = ['api', 'worker', 'relay'] as const;
const PRIVILEGES = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'];
const REFUSED = '42501';

let database: TestOrm;
/** Users of this test alone: those of asRole belong to every test of this run. */
let urls: Record<RoleName, string>;

beforeAll(async () => {
  database = await openTestOrm();
  const suffix = randomBytes(4).toString('hex');
  const urlOf = (name: RoleName) =>
    Object.assign(new URL(database.url), { username: `${name}_${suffix}`, password: encodeURIComponent('a "b" %c') }).toString();
  urls = { api: urlOf('api'), worker: urlOf('worker'), relay: urlOf('relay') };
});
afterAll(async () => {
  for (const name of NAMES) {
    await sql(`drop owned by ${userOf(name)}`);
    await sql(`drop role ${userOf(name)}`);
  }
  await database.close();
});

const sql = <T extends object>(statement: string) => database.orm.em.fork().execute<T[]>(statement);
const userOf = (name: RoleName): string => new URL(urls[name]).username;
const grant = () => grantRoles(database.orm.em.fork(), { urls, randomBytes });

/** Null where the statement was carried out, else the SQLSTATE of its refusal. */
async function tried(url: string, statement: string): Promise<string | null> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    await client.query(statement);
    return null;
  } catch (error) {
    // What pg throws has a code.
    return (error as { code?: string }).code ?? 'unknown';
  } finally {
    await client.end();
  }
}

async function privilegesOf(name: RoleName): Promise<Record<string, string[]>> {
  const rows = await sql<{ table: string; privilege: string }>(
    `select tablename as table, privilege from pg_tables, unnest(string_to_array('${PRIVILEGES.join(',')}', ',')) privilege
      where schemaname = 'public' and has_table_privilege('${userOf(name)}', 'public.' || quote_ident(tablename), privilege)`,
  );
  const found = Map.groupBy(rows, ({ table }) => table);
  return Object.fromEntries([...found].map(([table, own]) => [table, own.map(({ privilege }) => privilege).toSorted()]));
}

/** The tables of GRANTS that are given whole, with their privileges. */
function wholeTables(name: RoleName): Record<string, string[]> {
  const whole = Object.entries<string>(GRANTS[name]).filter(([, privileges]) => !privileges.includes('('));
  return Object.fromEntries(whole.map(([table, given]) => [table, given.toUpperCase().split(', ').toSorted()]));
}

describe('the users of the processes', () => {
  test.each(NAMES)('%s has its privileges and no other, also after a second time', async (name) => {
    await grant();
    await sql(`grant delete on transfers to ${userOf(name)}`);
    await grant();
    expect(await privilegesOf(name)).toEqual(wholeTables(name));
  });

  test('each gets in with its password only', async () => {
    await grant();
    for (const name of NAMES) {
      expect(await tried(urls[name], 'select key_id from key_canaries')).toBeNull();
      const wrong = Object.assign(new URL(urls[name]), { password: 'wrong' }).toString();
      expect(await tried(wrong, 'select 1')).toBe('28P01');
    }
  });

  test.each(NAMES)('%s changes no schema, and nothing that must never change', async (name) => {
    await grant();
    for (const statement of [
      'create table mine (id int)',
      'alter table accounts drop column email',
      'drop table transfers',
      'truncate audit_entries',
      'update transfers set amount_nano_usd = 1',
      'delete from transfers',
      "update audit_entries set actor = 'system'",
      'delete from accounts',
      'select * from mikro_orm_migrations',
    ])
      expect([statement, await tried(urls[name], statement)]).toEqual([statement, REFUSED]);
  });

  test('the relay reads no secret, no key, no message and no address, and changes no call that was counted', async () => {
    await grant();
    for (const statement of [
      'select * from api_keys',
      'select * from instance_secrets',
      'select * from login_codes',
      'select * from invites',
      'select * from webhooks',
      'select * from events',
      'select * from agent_files',
      'select content from messages',
      'select email from accounts',
      'select sealed from key_canaries',
      'select name from agents',
      'select input_tokens from model_calls',
      'update model_calls set input_tokens = 0',
      'delete from model_calls',
      'update accounts set balance_nano_usd = 1',
      'update instances set gateway_epoch = 1',
    ])
      expect([statement, await tried(urls.relay, statement)]).toEqual([statement, REFUSED]);
  });
});

test('every table but that of migrations is for one process at least', async () => {
  const tables = await sql<{ name: string }>(`select tablename as name from pg_tables where schemaname = 'public'`);
  const given = new Set(NAMES.flatMap((name) => Object.keys(GRANTS[name])));
  const others = tables.map(({ name }) => name).filter((name) => name !== 'mikro_orm_migrations');
  expect([...given].toSorted()).toEqual(others.toSorted());
});

test('two processes with one user are refused', async () => {
  const twins = { ...urls, relay: urls.api };
  await expect(grantRoles(database.orm.em.fork(), { urls: twins, randomBytes })).rejects.toThrow('need a user each');
});

test('an owner that may not make users says what to change', async () => {
  const orm = await createOrm(asRole(database.url, 'api'));
  const fresh = Object.assign(new URL(urls.api), { username: `new_${randomBytes(4).toString('hex')}` }).toString();
  const granting = grantRoles(orm.em.fork(), { urls: { ...urls, api: fresh }, randomBytes });
  await expect(granting).rejects.toThrow('may not make the user new_');
  await orm.close();
});
