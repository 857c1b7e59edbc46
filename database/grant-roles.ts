import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/postgresql';
import { lacksPrivilege } from './failure-kind.ts';
import { GRANTS } from './grants.ts';
import type { RoleName } from './grants.ts';
import { fetchRow } from './rows.ts';
import { run, sql } from './sql.ts';

/** The DATABASE_URL of each process: its user and its password. */
export type RoleUrls = Readonly<Record<RoleName, string>>;

interface Options {
  urls: RoleUrls;
  randomBytes: (size: number) => Uint8Array;
}

/** Any number that nothing else locks. */
const ROLES_LOCK = 724_310_380;

/**
 * Makes a user of the database for each process, with this password and with exactly the privileges of GRANTS. The schema
 * must be up to date. Repeatable, and while processes run. Throws when two processes name the same user, when one names the
 * user of this connection, and when the user of this connection does not own the tables or may not create users.
 */
export async function grantRoles(em: EntityManager, { urls, randomBytes }: Options): Promise<void> {
  const roles = rolesOf(urls);
  await em.transactional(async (own) => {
    await run(own, sql`select pg_advisory_xact_lock(${ROLES_LOCK})`);
    await refuseOwner(own, roles);
    for (const { name, user, password } of roles) {
      const verifier = scramVerifier(password, randomBytes);
      await makeUser(own, user, verifier);
      await setPrivileges(own, name, user);
    }
  });
}

interface Role {
  name: RoleName;
  user: string;
  password: string;
}

function rolesOf(urls: RoleUrls): Role[] {
  const roles = (['api', 'worker', 'relay'] as const).map((name) => {
    const { username, password } = new URL(urls[name]);
    return { name, user: decodeURIComponent(username), password: decodeURIComponent(password) };
  });
  if (new Set(roles.map(({ user }) => user)).size < roles.length)
    throw new Error('API, worker and relay need a user each in their DATABASE_URL.');
  return roles;
}

/** Its rights would be taken from it, and it could not give them back. */
async function refuseOwner(em: EntityManager, roles: readonly Role[]): Promise<void> {
  const owner = await fetchRow(em, { name: sql<string>`current_user` }, (fields) => sql`select ${fields}`);
  const same = roles.find(({ user }) => user === owner?.name);
  if (same)
    throw new Error(
      `The DATABASE_URL of the ${same.name} names ${same.user}, the user that owns the tables. Give it another user.`,
    );
}

async function makeUser(em: EntityManager, user: string, verifier: string): Promise<void> {
  const known = await fetchRow(em, {}, () => sql`select from pg_roles where rolname = ${user}`);
  const change = sql.raw(known ? 'alter' : 'create');
  try {
    await run(em, sql`${change} role ${sql.id(user)} login password ${sql.lit(verifier)}`);
  } catch (cause) {
    if (!lacksPrivilege(cause)) throw cause;
    const message = `The user of DATABASE_URL may not ${known ? 'change' : 'make'} the user ${user}. Let it: "alter role <owner> createrole", as the superuser of PostgreSQL.`;
    throw new Error(message, { cause });
  }
}

async function setPrivileges(em: EntityManager, name: RoleName, user: string): Promise<void> {
  const to = sql.id(user);
  const database = await fetchRow(em, { name: sql<string>`current_database()` }, (fields) => sql`select ${fields}`);
  await run(em, sql`grant connect on database ${sql.id(database?.name ?? '')} to ${to}`);
  await run(em, sql`grant usage on schema public to ${to}`);
  await run(em, sql`revoke all on all tables in schema public from ${to}`);
  for (const [table, privileges] of Object.entries(GRANTS[name]))
    await run(em, sql`grant ${sql.raw(privileges)} on ${sql.id(table)} to ${to}`);
}

const ITERATIONS = 4_096;

/** The password as PostgreSQL keeps it (SCRAM-SHA-256), so that it stands in no statement and in no log of the server. */
function scramVerifier(password: string, randomBytes: Options['randomBytes']): string {
  const salt = Buffer.from(randomBytes(16));
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, ITERATIONS, 32, 'sha256');
  const keyOf = (purpose: string): Buffer => createHmac('sha256', salted).update(purpose).digest();
  const storedKey = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${storedKey}:${keyOf('Server Key').toString('base64')}`;
}
