import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { createOrm } from '../../../database/orm.ts';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { changePower } from '../../../database/instances/lifecycle/change-power.ts';
import { closeInterval } from '../../../database/billing/intervals.ts';
import { noteDeath } from '../../../database/instances/note-death.ts';
import { releaseGateway } from '../../../database/instances/lifecycle/finish-stop.ts';
import { viewInstances } from '../../../database/instances/view-instances.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { HOUR, MINUTE, openPriced, pings, PRICE, SECOND, startRunning } from './bill-rows.ts';

const T0 = Date.parse('2025-03-01T10:20:00Z');
const at = (ms: number): Date => new Date(T0 + ms);
const makeId = createIdMaker(randomBytes);

let database: TestOrm;
let orm: MikroORM;

beforeEach(async () => {
  database = await openPriced(T0);
  ({ orm } = database);
});

afterEach(() => database.close());

interface Line {
  amount: string;
  from: string;
  to: string;
  price: string;
}

const linesOf = (intervalId: string): Promise<Line[]> =>
  orm.em.fork().execute(
    `select amount_nano_usd::text as amount, to_char(span_from at time zone 'UTC', 'HH24:MI:SS') as from,
            to_char(span_to at time zone 'UTC', 'HH24:MI:SS') as to, price_nano_usd_per_hour::text as price
       from transfers where interval_id = ? order by span_from`,
    [intervalId],
  );
const problems = async (): Promise<string[]> => (await verifyBilling(orm.em.fork())).problems;
const sweep = (ms: number): Promise<number> => debitDue(orm.em, { now: at(ms) });

describe('a sweep', () => {
  test('debits full hours that are proven, one line each, and the rest when the interval has ended', async () => {
    const { intervalId, instanceId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 39 * MINUTE);
    expect(await sweep(41 * MINUTE)).toBe(0);
    await pings(orm, T0 + 2 * HOUR);
    expect(await sweep(2 * HOUR)).toBe(2);
    expect(await sweep(2 * HOUR)).toBe(0);
    await runTransaction(orm.em, (em) => releaseThen(em, instanceId, 2 * HOUR + 1));
    await sweep(2 * HOUR + SECOND);
    expect(await linesOf(intervalId)).toEqual([
      { amount: '20000000', from: '10:20:00', to: '11:00:00', price: String(PRICE) },
      { amount: '30000000', from: '11:00:00', to: '12:00:00', price: String(PRICE) },
      { amount: '10000008', from: '12:00:00', to: '12:20:00', price: String(PRICE) },
    ]);
    expect(await problems()).toEqual([]);
  });

  test('applies a new price from its moment on, in the middle of an interval', async () => {
    const { intervalId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await runTransaction(orm.em, (em) => setPrice(em, 60_000_000n, at(10 * MINUTE)));
    await pings(orm, T0 + 50 * MINUTE);
    await sweep(50 * MINUTE);
    expect(await linesOf(intervalId)).toEqual([
      { amount: '5000000', from: '10:20:00', to: '10:30:00', price: '30000000' },
      { amount: '30000000', from: '10:30:00', to: '11:00:00', price: '60000000' },
    ]);
    // Not for time that was shown as paid before.
    await runTransaction(orm.em, (em) => setPrice(em, 90_000_000n, at(20 * MINUTE)));
    await pings(orm, T0 + 2 * HOUR);
    await sweep(2 * HOUR);
    expect((await linesOf(intervalId)).map(({ from, price }) => `${from} ${price}`)).toEqual([
      '10:20:00 30000000',
      '10:30:00 60000000',
      '11:00:00 60000000',
      '11:10:00 90000000',
    ]);
    expect(await problems()).toEqual([]);
  });

  test('beside other sweeps debits everything once', async () => {
    for (let count = 0; count < 60; count += 1) await startRunning(orm, makeId, { at: T0 + count, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 30 * HOUR);
    const others = await Promise.all([createOrm(database.url), createOrm(database.url)]);
    const written = await Promise.all([orm, ...others].map(({ em }) => debitDue(em, { now: at(30 * HOUR), batch: 7 })));
    const left = await sweep(30 * HOUR);
    await Promise.all(others.map((other) => other.close()));
    expect(written.reduce((sum, lines) => sum + lines, left)).toBe(60 * 30);
    expect(await sweep(30 * HOUR)).toBe(0);
    expect(await problems()).toEqual([]);
  });

  test('that breaks off between two batches is gone on with by the next', async () => {
    for (let count = 0; count < 20; count += 1) await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + HOUR);
    const breakOff = async (): Promise<void> => {
      throw new Error('broken off');
    };
    await expect(debitDue(orm.em, { now: at(HOUR), batch: 6, between: breakOff })).rejects.toThrow('broken off');
    expect(await problems()).toEqual([]);
    const left = await sweep(HOUR);
    // One batch was written, and the one that was under way beside it.
    expect([8, 14]).toContain(left);
    expect(await problems()).toEqual([]);
  });

  test('debits a week of absence to the last hour', async () => {
    const { intervalId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 10n });
    await pings(orm, T0 + 7 * 24 * HOUR);
    expect(await sweep(7 * 24 * HOUR)).toBe(7 * 24);
    expect(await linesOf(intervalId)).toHaveLength(7 * 24);
    expect(await problems()).toEqual([]);
  });

  test('of an instance that is deleted in the middle of an hour debits up to the deletion', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    const { intervalId, instanceId } = running;
    await pings(orm, T0 + HOUR);
    await sweep(HOUR);
    const change = { instanceId, action: 'destroy', now: at(70 * MINUTE), meterNow: at(70 * MINUTE) } as const;
    await runTransaction(orm.em, (em) => changePower(em, change));
    await sweep(71 * MINUTE);
    // Its gateway is still being ended, and its last minutes are not proven yet.
    expect(await linesOf(intervalId)).toHaveLength(1);
    await pings(orm, T0 + 71 * MINUTE);
    await orm.em
      .fork()
      .execute('update instances set boot_id = null, deleted_at = ? where id = ?', [at(72 * MINUTE), instanceId]);
    await sweep(73 * MINUTE);
    expect((await linesOf(intervalId)).map(({ to }) => to)).toEqual(['11:00:00', '11:30:00']);
    expect(await problems()).toEqual([]);
  });

  test('bills a gateway that died while the whole control plane was down up to its death, not further', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 5 * MINUTE);
    // Nobody looks for two hours. It dies after one. The first round of the worker that comes back hears nothing of it.
    await pings(orm, T0 + 2 * HOUR, [{ ...running, answered: false }]);
    await sweep(2 * HOUR);
    expect(await linesOf(running.intervalId)).toEqual([]);
    const lease = { owner: 'test', shard: 0, epoch: 1 };
    const death = { ...running, lease, endedAt: at(HOUR), killFirst: false, now: at(2 * HOUR) };
    expect(await runTransaction(orm.em, (em) => noteDeath(em, death))).toBe(true);
    await sweep(2 * HOUR + MINUTE);
    expect((await linesOf(running.intervalId)).map(({ from, to }) => `${from}-${to}`)).toEqual([
      '10:20:00-11:00:00',
      '11:00:00-11:20:00',
    ]);
    expect(await problems()).toEqual([]);
  });

  test('takes nothing back of what was shown when of a death only an earlier trace is known', async () => {
    const [died, stopped] = [await startRunning(orm, makeId, { at: T0 }), await startRunning(orm, makeId, { at: T0 })];
    await pings(orm, T0 + 10 * MINUTE);
    const billed = async (): Promise<unknown> => {
      const views = await viewInstances(orm.em.fork(), [died.instanceId, stopped.instanceId]);
      return views.map(({ billedMs }) => billedMs);
    };
    expect(await billed()).toEqual([10 * MINUTE, 10 * MINUTE]);
    const trace = at(10 * MINUTE - 20 * SECOND);
    const lease = { owner: 'test', shard: 0, epoch: 1 };
    const death = { ...died, lease, endedAt: trace, killFirst: false, now: at(11 * MINUTE) };
    expect(await runTransaction(orm.em, (em) => noteDeath(em, death))).toBe(true);
    await runTransaction(orm.em, async (em) => {
      await closeInterval(em, stopped.instanceId, null, at(11 * MINUTE));
      await releaseGateway(em, { instanceId: stopped.instanceId, epoch: 0, observed: { isAlive: false, diedAt: trace } });
    });
    expect(await billed()).toEqual([10 * MINUTE, 10 * MINUTE]);
    await sweep(12 * MINUTE);
    expect(await billed()).toEqual([10 * MINUTE, 10 * MINUTE]);
    expect(await problems()).toEqual([]);
  });

  test('bills a gateway that provably ran while only the control plane was down', async () => {
    const { intervalId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 3 * HOUR);
    await sweep(3 * HOUR);
    expect(await linesOf(intervalId)).toHaveLength(3);
  });

  test('takes the first round of a worker that takes over as no proof of gateways that it has not found yet', async () => {
    const running = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + 5 * MINUTE);
    await pings(orm, T0 + 3 * HOUR, [], true);
    await sweep(3 * HOUR);
    expect(await linesOf(running.intervalId)).toEqual([]);
    // It lives, as the next round hears: it has run all the time.
    await pings(orm, T0 + 3 * HOUR + 3 * SECOND, [{ ...running, answered: true }]);
    await sweep(3 * HOUR + 4 * SECOND);
    expect(await linesOf(running.intervalId)).toHaveLength(3);
  });

  test('is not confused when the clock of the database jumps back by a minute', async () => {
    const { intervalId, instanceId, accountId } = await startRunning(orm, makeId, { at: T0, creditNanoUsd: 10n ** 9n });
    await pings(orm, T0 + HOUR);
    await sweep(HOUR);
    const before = await findAccountMoney(orm.em.fork(), accountId, at(HOUR));
    // The clock is back at 11:19; pings, sweeps, the end of the interval and a credit come by it.
    await pings(orm, T0 + 59 * MINUTE);
    expect(await sweep(59 * MINUTE)).toBe(0);
    expect(await findAccountMoney(orm.em.fork(), accountId, at(59 * MINUTE))).toMatchObject({ balance: before.balance });
    await runTransaction(orm.em, (em) => closeInterval(em, instanceId, null, at(59 * MINUTE + SECOND)));
    await orm.em.fork().execute('update instances set boot_id = null where id = ?', [instanceId]);
    await sweep(59 * MINUTE + 2 * SECOND);
    expect((await linesOf(intervalId)).map(({ to }) => to)).toEqual(['11:00:00', '11:20:00']);
    const [view] = await viewInstances(orm.em.fork(), [instanceId]);
    expect([view?.totalRuntimeMs, view?.billedMs]).toEqual([HOUR, HOUR]);
    expect(await problems()).toEqual([]);
  });
});

/** A stop that was accepted at this moment and met the gateway alive. */
async function releaseThen(em: EntityManager, instanceId: string, ms: number): Promise<void> {
  await closeInterval(em, instanceId, null, at(ms));
  await releaseGateway(em, { instanceId, epoch: 0, observed: { isAlive: true } });
}
