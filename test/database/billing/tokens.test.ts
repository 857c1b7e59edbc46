import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { watchMoney } from '../../../activities/sweep-billing.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import { newAgent } from '../../factories.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, MINUTE, openPriced, SECOND, startRunning } from './bill-rows.ts';
import { callModel } from './call-rows.ts';
import type { CallTokens } from './call-rows.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const at = (ms: number): Date => new Date(T0 + ms);
const makeId = createIdMaker(randomBytes);
/** A dollar for a million tokens is a thousand nano-dollars for each. */
const USD = 1_000_000_000n;
const PRICE = { input: USD, output: 4n * USD, cacheRead: USD / 10n, cacheWrite: 2n * USD };

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

const setPrices = (models: Record<string, typeof PRICE>, ms: number): Promise<string[]> => {
  const prices = Object.entries(models).map(([model, price]) => ({ model, ...price }));
  return runTransaction(orm.em, (em) => setTokenPrices(em, prices, at(ms)));
};
const newCaller = async (creditNanoUsd: bigint) => {
  const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd });
  return newAgent(orm, { account: running.accountId, instance: running.instanceId });
};
type Caller = Awaited<ReturnType<typeof newCaller>>;
const call = (caller: Caller, begunMs: number, used: Partial<CallTokens> & { model?: string; tookMs?: number } = {}) =>
  callModel(orm, caller, { begunAt: at(begunMs), endedAt: at(begunMs + (used.tookMs ?? SECOND)), ...used });
const sweep = (ms: number): Promise<number> => debitDue(orm.em, { now: at(ms) });
const moneyOf = ({ accountId }: Caller, ms: number) => findAccountMoney(orm.em.fork(), accountId, at(ms));
const verify = () => verifyBilling(orm.em.fork());

interface Line {
  kind: string;
  amount: string;
  model: string | null;
  calls: number | null;
  hour: string | null;
}

const linesOf = ({ accountId }: Caller): Promise<Line[]> =>
  orm.em.fork().execute(
    `select kind, amount_nano_usd::text as amount, model, calls, to_char(span_from at time zone 'UTC', 'HH24:MI') as hour
       from transfers where account_id = ? and (agent_id is not null or kind = 'writeoff') order by span_from, model`,
    [accountId],
  );
const debit = (hour: string, model: string, calls: number, amount: bigint): Line => ({
  ...{ kind: 'debit', amount: amount.toString() },
  ...{ model, calls, hour },
});

describe('prices of tokens', () => {
  test('apply from their moment on: a call has those of its beginning', async () => {
    const caller = await newCaller(USD);
    await setPrices({ m: PRICE }, 0);
    await setPrices({ m: { ...PRICE, input: 3n * USD } }, 10 * MINUTE);
    const input = { inputTokens: 1_000 };
    expect(await call(caller, -1, input)).toBe('0');
    expect(await call(caller, 0, input)).toBe('1000000');
    expect(await call(caller, 10 * MINUTE - 1, { ...input, tookMs: MINUTE })).toBe('1000000');
    expect(await call(caller, 10 * MINUTE, input)).toBe('3000000');
    expect(await call(caller, 10 * MINUTE, { ...input, model: 'unpriced' })).toBe('0');
    expect((await verify()).problems).toEqual([]);
  });

  test('are for each kind of tokens, and a call is rounded down once', async () => {
    const caller = await newCaller(USD);
    await setPrices({ m: { ...PRICE, input: 1_500_000n } }, 0);
    const tokens = { inputTokens: 10, cacheReadTokens: 3, cacheWriteTokens: 2, outputTokens: 4 };
    expect(await call(caller, 0, tokens)).toBe(String(Math.floor(5 * 1.5 + 3 * 100 + 2 * 2_000 + 4 * 4_000)));
  });

  test('are entered once, however many processes enter them, and end with their model', async () => {
    const processes = await Promise.all([1, 2, 3].map(() => setPrices({ m: PRICE, n: PRICE }, 0)));
    expect(processes.flat().toSorted()).toEqual(['m', 'n']);
    expect(await setPrices({ m: PRICE }, MINUTE)).toEqual(['n']);
    expect(await setPrices({ m: PRICE }, 2 * MINUTE)).toEqual([]);
    const caller = await newCaller(USD);
    expect(await call(caller, 2 * MINUTE, { model: 'n', inputTokens: 1_000 })).toBe('0');
    expect(await call(caller, 2 * MINUTE, { inputTokens: 1_000 })).toBe('1000000');
  });
});

describe('the debits of model calls', () => {
  test('are one line for each agent, model and full hour, and with what has accrued they are the balance', async () => {
    await setPrices({ m: PRICE, n: PRICE }, 0);
    const caller = await newCaller(USD);
    const before = (await moneyOf(caller, 0)).balance;
    await call(caller, 0, { inputTokens: 1 });
    await call(caller, 30 * MINUTE, { inputTokens: 2 });
    await call(caller, 30 * MINUTE, { inputTokens: 4, model: 'n' });
    // It ends with the hour: what counts is its end.
    await call(caller, 40 * MINUTE - SECOND, { inputTokens: 8, tookMs: SECOND });
    expect(before - (await moneyOf(caller, 0)).balance).toBe(15_000n);
    await sweep(HOUR);
    expect(await linesOf(caller)).toEqual([debit('10:00', 'm', 2, 3_000n), debit('10:00', 'n', 1, 4_000n)]);
    expect(before - (await moneyOf(caller, 0)).balance).toBe(15_000n);
    await sweep(2 * HOUR);
    expect((await linesOf(caller)).slice(2)).toEqual([debit('11:00', 'm', 1, 8_000n)]);
    expect(await verify()).toMatchObject({ problems: [], calls: 4 });
  });

  test('are written once, however many sweeps there are at the same time', async () => {
    await setPrices({ m: PRICE }, 0);
    const callers = await Promise.all(Array.from({ length: 5 }, () => newCaller(USD)));
    for (const caller of callers) for (let hour = 0; hour < 4; hour += 1) await call(caller, hour * HOUR, { inputTokens: 7 });
    await Promise.all([1, 2, 3].map((batch) => debitDue(orm.em, { now: at(9 * HOUR), batch })));
    for (const caller of callers) expect((await linesOf(caller)).map(({ amount }) => amount)).toEqual(Array(4).fill('7000'));
    expect(await verify()).toMatchObject({ problems: [], calls: 20 });
  });

  test('are not of an hour that is not over', async () => {
    await setPrices({ m: PRICE }, 0);
    const caller = await newCaller(USD);
    await call(caller, 0, { inputTokens: 1 });
    await sweep(39 * MINUTE);
    expect(await linesOf(caller)).toEqual([]);
  });
});

describe('money that model calls use up', () => {
  test('stops what runs, and is no debt', async () => {
    await setPrices({ m: PRICE }, 0);
    const caller = await newCaller(5_000n);
    await call(caller, 1, { inputTokens: 9, tookMs: 1 });
    const money = await moneyOf(caller, 2);
    expect([money.balance, money.available < 0n]).toEqual([0n, true]);
    const watch = { orm, makeId, now: at(2), signal: new AbortController().signal };
    expect(await watchMoney(watch)).toMatchObject({ stopped: 1 });
    await sweep(HOUR);
    const [first, writeoff] = (await linesOf(caller)).toSorted((one, other) => one.kind.localeCompare(other.kind));
    expect([first?.amount, writeoff?.kind]).toEqual(['9000', 'writeoff']);
    expect((await verify()).problems).toEqual([]);
  });

  test('is not paid by credit that comes later', async () => {
    await setPrices({ m: PRICE }, 0);
    const caller = await newCaller(5_000n);
    await call(caller, 0, { inputTokens: 9, tookMs: 0 });
    const { accountId } = caller;
    const grant = { id: makeId('txn'), accountId, amountNanoUsd: USD, reason: 'more', now: at(0), makeId };
    await runTransaction(orm.em, (em) => grantCredit(em, grant));
    await call(caller, 0, { inputTokens: 1, tookMs: 1 });
    expect((await moneyOf(caller, 0)).balance).toBe(USD - 1_000n);
    await sweep(HOUR);
    expect((await verify()).problems).toEqual([]);
  });
});

describe('the verification', () => {
  test.each([
    ['a call has another cost', 'update model_calls set cost_nano_usd = cost_nano_usd + 1', 'another cost'],
    ['a call has prices of another time', "update model_calls set begun_at = begun_at - interval '1 day'", 'another cost'],
    ['a call is missing', 'delete from model_calls where id = (select max(id) from model_calls)', 'its calls cost 1000'],
    ['a line has another amount', 'update transfers set amount_nano_usd = 5 where agent_id is not null', 'but its calls cost'],
    ['a line has another number of calls', 'update transfers set calls = 5 where agent_id is not null', '5 calls are debited'],
  ])('finds that %s', async (_, statement, problem) => {
    await setPrices({ m: PRICE }, 0);
    const caller = await newCaller(USD);
    // Of the hour of the oldest call that is there, some may have been removed.
    await call(caller, -HOUR, { inputTokens: 1 });
    await call(caller, 0, { inputTokens: 1 });
    await call(caller, 1, { inputTokens: 2 });
    await sweep(HOUR);
    expect((await verify()).problems).toEqual([]);
    await orm.em.fork().execute(`set session_replication_role = replica; ${statement}`);
    expect((await verify()).problems.join()).toContain(problem);
  });

  test('takes the lines of calls that were removed as they are', async () => {
    await setPrices({ m: PRICE }, 0);
    const caller = await newCaller(USD);
    await call(caller, 0, { inputTokens: 1 });
    await sweep(HOUR);
    await call(caller, 5 * HOUR, { inputTokens: 2 });
    await orm.em.fork().execute('delete from model_calls where id = (select min(id) from model_calls)');
    expect((await verify()).problems).toEqual([]);
  });
});
