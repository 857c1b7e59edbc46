import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createOrm } from '../../database/orm.ts';
import { createTestDatabase } from '../support/test-database.ts';
import type { TestDatabase } from '../support/test-database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

test('a database that is closed while a statement opens its connection closes, and the statement is done', async () => {
  const orm = await createOrm(database.url);
  const statement = orm.em.fork().execute('select 1 as one');
  await orm.close();
  expect(await statement).toEqual([{ one: 1 }]);
});
