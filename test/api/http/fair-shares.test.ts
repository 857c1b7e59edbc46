import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

const CALLS = 8;
const SHARED = 2;
/** Calls of one account that are under way at any moment. */
const FLOOD = 60;
const READS = 30;
/** Answers of one account between a call of another one and its answer: two calls that are at work, for each of its steps. */
const MOST_BETWEEN = 12;

let api: ApiUnderTest;
let account: AccountClient;
let other: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { MAX_CALLS_PER_ACCOUNT: String(CALLS), RATE_LIMIT_PER_MINUTE: '100000' } });
  [account, other] = [await api.newAccount(), await api.newAccount()];
});

afterAll(() => api.close());

/** How many calls wait for a lock of a row. */
async function lockedCalls(): Promise<number> {
  const [row] = await api.sql<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return row?.count ?? 0;
}

test('an account has two calls at work while another one calls, and eight when it is the only one', async () => {
  const [mine, others] = [await newInstance(account), await newInstance(other)];
  const store = (client: AccountClient, instanceId: string) =>
    client.call('POST', `/instances/${instanceId}/secrets`, { secrets: { KEY: 'value' } });
  const many = () => Array.from({ length: 2 * CALLS }, () => store(account, mine));
  const lock = (em: typeof api.orm.em) => em.execute('select id from instances where id in (?, ?) for update', [mine, others]);

  const calls = await api.orm.em.fork().transactional(async (em) => {
    await lock(em);
    const begun = [store(other, others), ...many()];
    await eventually(async () => expect(await lockedCalls()).toBe(SHARED + 1));
    expect((await other.call('GET', '/auth/me')).status).toBe(200);
    expect(await lockedCalls()).toBe(SHARED + 1);
    return begun;
  });
  expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(calls.map(() => 200));

  const alone = await api.orm.em.fork().transactional(async (em) => {
    await lock(em);
    // A second after the last call of the other one.
    let begun: ReturnType<typeof many> = [];
    await eventually(async () => {
      begun = [...begun, store(account, mine)];
      expect(await lockedCalls()).toBe(CALLS);
    });
    return begun;
  });
  await Promise.all(alone);
});

test('however many calls of one account wait, a call of another one is answered after a few of them', async () => {
  const over = new AbortController();
  let answered = 0;
  const caller = async () => {
    while (!over.signal.aborted) {
      await account.ok('GET', '/instances?limit=1');
      answered += 1;
    }
  };
  await other.ok('GET', '/auth/me');
  const flood = Array.from({ length: FLOOD }, caller);
  const between: number[] = [];
  for (let read = 0; read < READS; read += 1) {
    const before = answered;
    await other.ok('GET', '/auth/me');
    between.push(answered - before);
  }
  over.abort();
  await Promise.all(flood);
  const [median] = between.toSorted((a, b) => a - b).slice(READS / 2);
  expect(median).toBeLessThanOrEqual(MOST_BETWEEN);
});

test('a call that is more than its account may make in a minute is refused before the database is asked', async () => {
  const limited = await startApi({ env: { RATE_LIMIT_PER_MINUTE: '3' } });
  try {
    const client = await limited.newAccount();
    const owner = limited.orm.em.fork();
    const read = () => client.call('GET', '/auth/me');
    for (let count = 0; count < 4; count += 1) await read();
    await owner.execute('alter table accounts rename to away', [], 'run');
    const { status, body, headers } = await read();
    await owner.execute('alter table away rename to accounts', [], 'run');
    expect([status, body.error.code, headers.get('ratelimit-remaining')]).toEqual([429, 'rate_limited', '0']);
    limited.advance(60_001);
    expect((await read()).status).toBe(200);
  } finally {
    await limited.close();
  }
});
