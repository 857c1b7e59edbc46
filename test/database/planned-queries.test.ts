import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findAccountOfKey } from '../../database/accounts/api-keys.ts';
import { findStoredBytes } from '../../database/accounts/stored-bytes.ts';
import { findTokenVersion } from '../../database/accounts/token-version.ts';
import { viewInstance } from '../../database/instances/view-instances.ts';
import { findAgentGate } from '../../database/messages/agent-gate.ts';
import { query, sql } from '../../database/sql.ts';
import { eventually } from '../support/eventually.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const readAll = async (em = database.orm.em.fork()) => [
  await viewInstance(em, 'acc_none', 'inst_none'),
  await findAccountOfKey(em, Buffer.alloc(32), new Date()),
  await findTokenVersion(em, 'acc_none'),
  await findAgentGate(em, 'inst_none', 'agent_none'),
  await findStoredBytes(em, 'acc_none'),
];

test('what every call asks keeps its plan on a connection, in a transaction too', async () => {
  await database.orm.em.fork().transactional(async (em) => {
    for (let times = 0; times < 10; times += 1) await readAll(em);
    const statements = await query(em, sql`select name, generic_plans::int as kept from pg_prepared_statements order by 1`);
    // PostgreSQL tries five plans for the values at hand before it keeps one.
    expect(statements).toEqual([
      { name: 'account_of_key', kept: 5 },
      { name: 'agent_gate', kept: 5 },
      { name: 'stored_bytes', kept: 5 },
      { name: 'token_version', kept: 5 },
      { name: 'view_instance', kept: 5 },
    ]);
  });
});

test('connections that take the place of lost ones answer it too', async () => {
  await Promise.all(Array.from({ length: 20 }, () => readAll()));
  await query(
    database.orm.em.fork(),
    sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await eventually(async () => expect(await Promise.all(Array.from({ length: 20 }, () => readAll()))).toHaveLength(20));
});
