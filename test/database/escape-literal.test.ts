import { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ormConfig } from '../../database/orm-config.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;
let plain: MikroORM;

beforeAll(async () => {
  database = await openTestOrm();
  plain = await MikroORM.init(ormConfig(database.url));
});
afterAll(async () => {
  await plain.close();
  await database.close();
});

const texts = fc.oneof(fc.string({ unit: fc.constantFrom("'", '\\', '$', '?', '\n', 'E', 'é') }), fc.string({ unit: 'binary' }));

test('a text, alone or in a list, is written into a statement exactly as MikroORM would write it', () => {
  const [ours, theirs] = [database.orm, plain].map(({ config }) => config.getPlatform());
  fc.assert(
    fc.property(texts, fc.array(texts), (text, list) => {
      for (const value of [text, list, 1, null, true]) {
        expect(ours?.escape(value)).toEqual(theirs?.escape(value));
        expect(ours?.quoteValue(value)).toEqual(theirs?.quoteValue(value));
      }
    }),
  );
});

test('texts with quotes and backslashes come back as they went', async () => {
  const hard = ["'", "''; drop table accounts; --", '\\', "\\'", " E'\\", '?', '\\?', '$1', '\r\n\t'];
  const rows = await database.orm.em.fork().execute('select ?::text as one, json_build_array(?) as all', [hard.join(''), hard]);
  expect(rows).toEqual([{ one: hard.join(''), all: hard }]);
});
