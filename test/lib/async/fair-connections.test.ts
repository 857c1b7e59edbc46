import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Pool } from 'pg';
import { actFor } from '../../../lib/async/acting-for.ts';
import { shareConnections } from '../../../lib/async/fair-connections.ts';

const [SHARED, AT_ONCE, CONNECTIONS] = [1, 3, 4];
const CALLS = 2 * CONNECTIONS;

type Answered = (error: Error | null, result?: { rows: unknown[] }) => void;

/** Statements that wait for the test to end them, in the order in which they have reached the database. */
let under: { text: string; end: Answered }[] = [];

/** A connection to a database whose statements last until the test ends them. */
class Connection extends EventEmitter {
  connect(connected: () => void): void {
    setImmediate(connected);
  }
  query(text: string, ...rest: unknown[]): void {
    under.push({ text, end: rest.at(-1) as Answered }); // boundary: the pool's last argument is its callback
  }
  end(ended?: () => void): void {
    if (ended) setImmediate(ended);
  }
}

let pool: Pool;

beforeEach(() => {
  under = [];
  pool = new Pool({ max: CONNECTIONS, Client: Connection as never }); // boundary: what of a client the pool uses
  shareConnections(pool, { atOnce: AT_ONCE, shared: SHARED, patienceMs: 600_000 });
});
afterEach(() => pool.end());

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};
const ask = (accountId: string) => actFor(accountId, () => pool.query(accountId));
const running = () => under.map(({ text }) => text).toSorted();

/** Ends statements until none is left, one after the other. */
async function endAll(error: Error | null = null): Promise<void> {
  for (await settled(); under.length > 0; await settled()) under.shift()?.end(error, { rows: [] });
}

test('an account takes its share of the connections; other ones, and the platform, need not wait for it', async () => {
  const calls = [ask('b'), ...Array.from({ length: CALLS }, () => ask('a'))];
  await settled();
  expect(running()).toEqual(['a', 'b']);
  calls.push(ask('c'), pool.query('platform'));
  await settled();
  expect(running()).toEqual(['a', 'b', 'c', 'platform']);
  await endAll();
  expect(await Promise.all(calls)).toHaveLength(CALLS + 3);
});

test('an account that is the only one has more, and leaves some for those that come', async () => {
  const calls = Array.from({ length: CALLS }, () => ask('a'));
  await settled();
  expect(running()).toEqual(['a', 'a', 'a']);
  calls.push(ask('b'));
  await settled();
  expect(running()).toEqual(['a', 'a', 'a', 'b']);
  await endAll();
  await Promise.all(calls);
});

test('a statement that fails, and a connection that is taken and given back, return their share', async () => {
  const calls = Array.from({ length: CALLS }, () => ask('a').catch(() => 'failed'));
  await endAll(new Error('refused'));
  expect(await Promise.all(calls)).toEqual(calls.map(() => 'failed'));
  for (let count = 0; count < CALLS; count += 1) (await actFor('a', () => pool.connect())).release();
  const last = ask('a');
  await endAll();
  expect(await last).toEqual({ rows: [] });
});
