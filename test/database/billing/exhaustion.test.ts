import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { watchMoney } from '../../../activities/sweep-billing.ts';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, MINUTE, openPriced, pings, PRICE, SECOND, startRunning } from './bill-rows.ts';
import type { Running } from './bill-rows.ts';

const T0 = Date.parse('2025-03-01T10:00:00Z');
const at = (ms: number): Date => new Date(T0 + ms);
const makeId = createIdMaker(randomBytes);

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

const look = (ms: number) => watchMoney({ orm, makeId, now: at(ms), signal: new AbortController().signal });
const grant = (accountId: string, nanoUsd: bigint, ms: number) =>
  runTransaction(orm.em, (em) =>
    grantCredit(em, { id: makeId('txn'), accountId, amountNanoUsd: nanoUsd, reason: 'more', now: at(ms), makeId }),
  );

interface Notice {
  type: string;
  seq: number;
  data: { hoursLeft?: number; instanceIds?: string[]; amountNanoUsd?: string };
}

async function noticesOf(accountId: string): Promise<Notice[]> {
  const rows = await orm.em
    .fork()
    .execute<{ type: string; seq: number; data: string }[]>(
      'select type, seq::float8 as seq, data from events where account_id = ? and instance_id is null order by seq',
      [accountId],
    );
  return rows.map(({ data, ...row }) => ({ ...row, data: JSON.parse(data) }));
}

async function stateOf({ instanceId, accountId }: Running) {
  const [row] = await orm.em
    .fork()
    .execute<{ desired: string; ended: string | null; exhausts: string | null; balance: string; woken: number }[]>(
      `select desired_status as desired, to_char(runtime_intervals.ended_at at time zone 'UTC', 'HH24:MI:SS') as ended,
            to_char(exhausts_at at time zone 'UTC', 'DD HH24:MI:SS') as exhausts, balance_nano_usd::text as balance,
            (select count(*)::int from outbox where subject_id = instances.id) as woken
       from instances join runtime_intervals on instance_id = instances.id join accounts on accounts.id = instances.account_id
      where instances.id = ? and accounts.id = ?`,
      [instanceId, accountId],
    );
  return row;
}

describe('an account whose money runs out', () => {
  test('has its running instances told to stop at the look after that, and is told so once', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: PRICE });
    expect(await stateOf(running)).toMatchObject({ desired: 'running', exhausts: '01 11:00:00' });
    expect(await look(HOUR - SECOND)).toMatchObject({ stopped: 0 });
    expect(await look(HOUR + SECOND)).toMatchObject({ stopped: 1 });
    expect(await look(HOUR + 3 * SECOND)).toEqual({ stopped: 0, warned: 0 });
    expect(await stateOf(running)).toMatchObject({ desired: 'stopped', ended: '11:00:01', exhausts: null, woken: 1 });
    const exhausted = (await noticesOf(running.accountId)).filter(({ type }) => type === 'billing.exhausted');
    expect(exhausted.map(({ data }) => data)).toEqual([{ instanceIds: [running.instanceId] }]);
  });

  test("never falls below zero: what ran on is the platform's loss, and new credit is there in full", async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: PRICE });
    await look(HOUR + 4 * SECOND);
    await pings(orm, T0 + HOUR + 5 * SECOND);
    // The debit of its last four seconds is not written yet.
    await grant(running.accountId, 7n, HOUR + 6 * SECOND);
    expect(await findAccountMoney(orm.em.fork(), running.accountId, at(HOUR + 7 * SECOND))).toMatchObject({ balance: 7n });
    await orm.em.fork().execute('update instances set boot_id = null');
    await debitDue(orm.em, { now: at(HOUR + 8 * SECOND) });
    expect(await stateOf(running)).toMatchObject({ balance: '7' });
    const { writtenOffNanoUsd, debitedNanoUsd, problems } = await verifyBilling(orm.em.fork());
    expect([debitedNanoUsd, writtenOffNanoUsd]).toEqual([PRICE + 33_333n, 33_333n]);
    expect(problems).toEqual([]);
  });

  test('gets its money back to the nano-dollar when proof comes after a credit', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: PRICE });
    // No round of pings for two hours, in which a credit comes; then it turns out to have run all the time.
    await grant(running.accountId, 10n * PRICE, 90 * MINUTE);
    await pings(orm, T0 + 2 * HOUR);
    await debitDue(orm.em, { now: at(2 * HOUR) });
    expect(await stateOf(running)).toMatchObject({ balance: String(10n * PRICE - PRICE / 2n) });
    const { writtenOffNanoUsd, problems } = await verifyBilling(orm.em.fork());
    expect(writtenOffNanoUsd).toBe(PRICE / 2n);
    expect(problems).toEqual([]);
  });

  test('is not stopped for time in which its gateway did not answer', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: PRICE });
    await pings(orm, T0 + 10 * MINUTE);
    await pings(orm, T0 + 11 * MINUTE, [{ ...running, answered: false }]);
    expect(await look(HOUR + SECOND)).toMatchObject({ stopped: 0 });
    expect(await stateOf(running)).toMatchObject({ desired: 'running' });
    await pings(orm, T0 + HOUR + 5 * SECOND, [{ ...running, answered: true }]);
    expect(await look(HOUR + 6 * SECOND)).toMatchObject({ stopped: 1 });
  });

  test('runs out earlier with a second instance and a higher price, later with one less', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 4n * PRICE });
    expect(await stateOf(running)).toMatchObject({ exhausts: '01 14:00:00' });
    await startRunning(orm, makeId, { at: T0 + HOUR, accountId: running.accountId });
    expect(await stateOf(running)).toMatchObject({ exhausts: '01 12:30:00' });
    await runTransaction(orm.em, (em) => setPrice(em, 2n * PRICE, at(90 * MINUTE)));
    expect(await stateOf(running)).toMatchObject({ exhausts: '01 12:00:00' });
    await grant(running.accountId, 4n * PRICE, 90 * MINUTE);
    expect(await stateOf(running)).toMatchObject({ exhausts: '01 13:00:00' });
  });
});

describe('a warning', () => {
  test('comes at 72, 24 and 1 hours of the present burn, once each, and again after the forecast was above', async () => {
    const { accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 100n * PRICE });
    const lowAt = async (hours: number): Promise<number[]> => {
      await look(hours * HOUR);
      await look(hours * HOUR + 2 * SECOND);
      const notices = await noticesOf(accountId);
      return notices.filter(({ type }) => type === 'billing.low').map(({ data }) => data.hoursLeft ?? -1);
    };
    expect(await lowAt(27)).toEqual([]);
    expect(await lowAt(28)).toEqual([72]);
    expect(await lowAt(75)).toEqual([72]);
    expect(await lowAt(76)).toEqual([72, 24]);
    expect(await lowAt(99)).toEqual([72, 24, 1]);
    // 31 more hours: above 24 again, but not above 72.
    await grant(accountId, 30n * PRICE, 99 * HOUR);
    expect(await lowAt(100)).toEqual([72, 24, 1]);
    expect(await lowAt(106)).toEqual([72, 24, 1, 24]);
    const notices = await noticesOf(accountId);
    expect(notices.map(({ seq }) => seq)).toEqual(notices.map((_, index) => index + 1));
  });
});
