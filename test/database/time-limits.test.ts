import { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { isDatabaseAway, isDatabaseRefusal, isDatabaseTimeout } from '../../database/failure-kind.ts';
import { ormConfig } from '../../database/orm-config.ts';
import { createOrm } from '../../database/orm.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';

let database: TestOrm;

beforeAll(async () => {
  database = await openTestOrm();
});
afterAll(() => database.close());

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

async function limitsOf(orm: MikroORM): Promise<string[]> {
  const names = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'];
  const [row] = await orm.em
    .fork()
    .execute<Record<string, string>[]>(`select ${names.map((name) => `current_setting('${name}') as ${name}`).join(', ')}`);
  return names.map((name) => row?.[name] ?? '');
}

test('every connection of a process has time limits, and those of a migration have none', async () => {
  expect(await limitsOf(database.orm)).toEqual(['1min', '10s', '30s']);
  const migrating = await MikroORM.init(ormConfig(database.url));
  expect(await limitsOf(migrating)).toEqual(['0', '0', '0']);
  await migrating.close();
});

test('a statement that takes too long is given up, and that is neither an outage nor a refusal', async () => {
  const orm = await createOrm(database.url, { statementMs: 2_000 });
  const error = await failureOf(orm.em.fork().execute('select pg_sleep(60)'));
  expect([isDatabaseTimeout(error), isDatabaseAway(error), isDatabaseRefusal(error)]).toEqual([true, false, false]);
  expect(await orm.em.fork().execute('select 1 as one')).toEqual([{ one: 1 }]);
  await orm.close();
});

test(
  'a lock that another transaction keeps is given up, so that those who want it do not hold all connections',
  async () => {
    await database.orm.em.fork().transactional(async (em) => {
      await em.execute('select pg_advisory_xact_lock(1)');
      const error = await failureOf(database.orm.em.fork().execute('select pg_advisory_xact_lock(1)'));
      expect(isDatabaseTimeout(error)).toBe(true);
    });
  },
  TEST_LIMIT_MS,
);
