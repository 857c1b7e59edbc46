import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { Client } from 'pg';
import { createOrm } from '../../database/orm.ts';
import { actFor } from '../../lib/async/acting-for.ts';
import { eventually } from '../support/eventually.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';

const [CONNECTIONS, AT_ONCE, SHARED] = [5, 3, 1];
/** Statements of one account that are slow: they end when the test gives up a lock. */
const SLOW = 50;
const READS = 20;

let database: TestOrm;
let orm: MikroORM;
/** A connection apart from those that are shared. */
let holder: Client;

beforeAll(async () => {
  database = await openTestOrm();
  holder = new Client({ connectionString: database.url });
  await holder.connect();
  orm = await createOrm(database.url, { connections: CONNECTIONS, ofAccount: { atOnce: AT_ONCE, shared: SHARED } });
});
afterAll(async () => {
  await orm.close();
  await holder.end();
  await database.close();
});

const read = () => orm.em.fork().execute('select 1 as one');
const slow = (account: string) => actFor(account, () => orm.em.fork().execute('select pg_advisory_xact_lock(440)::text'));

/** How many connections wait for the lock of the test. */
async function waiting(): Promise<number> {
  const { rows } = await holder.query<{ count: number }>(
    `select count(*)::int as count from pg_locks
      where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())`,
  );
  return rows[0]?.count ?? 0;
}

/** Does this while no slow statement ends. */
async function whileLocked<T>(work: () => Promise<T>): Promise<T> {
  await holder.query('select pg_advisory_lock(440)');
  try {
    return await work();
  } finally {
    await holder.query('select pg_advisory_unlock(440)');
  }
}

test('however many slow statements an account has, those of others, and of the platform, do not wait for one of them', async () => {
  const begun = await whileLocked(async () => {
    const many = Array.from({ length: SLOW }, () => slow('a'));
    await eventually(async () => expect(await waiting()).toBe(AT_ONCE));
    for (let count = 0; count < READS; count += 1) await actFor('b', read);
    expect(await Promise.all([actFor('c', read), read()])).toEqual([[{ one: 1 }], [{ one: 1 }]]);
    expect(await waiting()).toBe(AT_ONCE);
    return many;
  });
  expect(await Promise.all(begun)).toHaveLength(SLOW);
});

test('accounts that all have slow statements have one connection each, and what is left answers another one', async () => {
  const begun = await whileLocked(async () => {
    await actFor('c', read);
    const many = ['a', 'b', 'a', 'b'].flatMap((account) => Array.from({ length: SLOW / 2 }, () => slow(account)));
    await eventually(async () => expect(await waiting()).toBe(2 * SHARED));
    for (let count = 0; count < READS; count += 1) await actFor('c', read);
    expect(await waiting()).toBe(2 * SHARED);
    return many;
  });
  await Promise.all(begun);
});

test('a slow statement that is given up frees its place', async () => {
  const hasty = await createOrm(database.url, {
    connections: CONNECTIONS,
    statementMs: 500,
    ofAccount: { atOnce: AT_ONCE, shared: SHARED },
  });
  try {
    await whileLocked(async () => {
      const given = Array.from({ length: 2 * AT_ONCE }, () =>
        actFor('a', () => hasty.em.fork().execute('select pg_advisory_xact_lock(440)::text')).catch(() => 'given up'),
      );
      expect(await Promise.all(given)).toEqual(given.map(() => 'given up'));
      expect(await actFor('a', () => hasty.em.fork().execute('select 1 as one'))).toEqual([{ one: 1 }]);
    });
  } finally {
    await hasty.close();
  }
});
