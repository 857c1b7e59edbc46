import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { columns, db, notNull, optionalColumns } from '../../database/db.ts';
import { Account } from '../../database/entities/account.ts';
import { Event } from '../../database/entities/event.ts';
import { fetchRow, fetchRows, valuesOf } from '../../database/rows.ts';
import { asNumber, asText, epochMs, run, sql } from '../../database/sql.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

let database: TestOrm;
const em = () => database.orm.em.fork();
const AT = new Date('2026-01-02T03:04:05.678Z');

beforeAll(async () => {
  database = await openTestOrm();
  const row = { email: 'a@example.com', name: 'A', emailVerifiedAt: null, createdAt: AT, balanceNanoUsd: 2n ** 60n };
  await run(
    em(),
    sql`insert into accounts ${valuesOf(Account, { id: 'acc_a', ...row }, { id: 'acc_b', ...row, email: 'b@example.com' })}`,
  );
});
afterAll(() => database.close());

test('columns under other names come as their entity says: moments, counters, amounts, bytes and booleans', async () => {
  await db(em())
    .insertInto('Event')
    .values({ id: 'evt_a', account: 'acc_a', seq: 2 ** 40, type: 't', createdAt: AT, recordedAt: AT })
    .execute();
  const a = columns(Account, 'a');
  const e = optionalColumns(Event, 'e');
  const rows = await fetchRows(
    em(),
    {
      who: a.id,
      since: a.createdAt,
      has: a.balanceNanoUsd,
      contested: a.registrationContested,
      last: e.seq,
      verified: a.emailVerifiedAt,
    },
    (fields) => sql`select ${fields} from accounts a left join events e on ${e.account} = ${a.id} order by ${a.id}`,
  );
  const known = { since: AT, has: 2n ** 60n, contested: false, verified: null };
  expect(rows).toEqual([
    { who: 'acc_a', ...known, last: 2 ** 40 },
    { who: 'acc_b', ...known, last: null },
  ]);
});

test('expressions come as they are written', async () => {
  const { createdAt, balanceNanoUsd, id } = columns(Account);
  const fields = { ms: epochMs(createdAt), digits: asText(balanceNanoUsd), count: asNumber(sql<bigint>`count(*) over ()`) };
  const row = await fetchRow(em(), fields, (list) => sql`select ${list} from accounts where ${id} = 'acc_a'`);
  expect(row).toEqual({ ms: AT.getTime(), digits: (2n ** 60n).toString(), count: 1 });
  expect(await fetchRow(em(), fields, (list) => sql`select ${list} from accounts where ${id} = 'none'`)).toBeNull();
});

test('a column that no entity has, and a row of another type, do not compile', () => {
  const account = columns(Account);
  // @ts-expect-error -- there is no such property
  expect(account.balance).toBeUndefined();
  // @ts-expect-error -- a number is no name
  const row: () => Promise<{ name: number } | null> = () => fetchRow(em(), { name: account.name }, (list) => sql`${list}`);
  expect(row).toBeDefined();
  expect(notNull(account.emailVerifiedAt)).toBe(account.emailVerifiedAt);
});
