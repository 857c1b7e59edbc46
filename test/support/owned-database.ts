import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { RoleName } from '../../database/grants.ts';
import { createEmptyDatabase } from './test-database.ts';

/** As deploy/prepare.sh makes it. */
export function roleUrlOf(database: URL, name: RoleName): string {
  const username = `${database.username}_${name}`;
  return Object.assign(new URL(database), { username, password: randomBytes(12).toString('hex') }).toString();
}

/** As deploy/postgres-init.sh makes it: of a user that owns it, and may make the users of the parts. */
export async function createOwnedDatabase(): Promise<URL> {
  const url = await createEmptyDatabase();
  const [database, password] = [url.pathname.slice(1), randomBytes(12).toString('hex')];
  const client = new Client({ connectionString: url.toString() });
  await client.connect();
  try {
    await client.query(`create role ${database} login createrole password '${password}'`);
    await client.query(`alter database ${database} owner to ${database}`);
  } finally {
    await client.end();
  }
  return Object.assign(url, { username: database, password });
}
