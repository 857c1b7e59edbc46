import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import { findAccountOfKey } from '../../database/queries/api-keys.ts';
import { viewInstance } from '../../database/queries/view-instances.ts';
import { eventually } from '../support/eventually.ts';
import { createEmptyDatabase, openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const readBoth = () => {
  const em = database.orm.em.fork();
  return Promise.all([viewInstance(em, 'acc_none', 'inst_none'), findAccountOfKey(em, Buffer.alloc(32), new Date())]);
};

test('what every call asks is planned once on each connection, in a transaction too', async () => {
  await database.orm.em.fork().transactional(async (em) => {
    await viewInstance(em, 'acc_none', 'inst_none');
    const statements = await em.execute(
      'select name, (generic_plans + custom_plans)::int as plans from pg_prepared_statements order by 1',
    );
    expect(statements).toEqual([
      { name: 'account_of_key', plans: 0 },
      { name: 'view_instance', plans: 1 },
    ]);
  });
});

test('connections that take the place of lost ones know the statements too', async () => {
  await Promise.all(Array.from({ length: 20 }, readBoth));
  await database.orm.em
    .fork()
    .execute(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
  await eventually(async () => expect(await Promise.all(Array.from({ length: 20 }, readBoth))).toHaveLength(20));
});

test('on a database without tables a connection says what is missing', async () => {
  const { href } = await createEmptyDatabase();
  const orm = await createOrm(href);
  try {
    await expect(orm.em.fork().execute('select 1')).rejects.toThrow('relation "api_keys" does not exist');
  } finally {
    await orm.close();
  }
});
