import type { MikroORM } from '@mikro-orm/postgresql';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { listExhausted, stopExhausted } from '../../../database/billing/stop-exhausted.ts';
import { listLow, warnLow } from '../../../database/billing/warn-low.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { MakeId } from '../../../domain/ids.ts';
import type { Dice } from '../../support/campaign.ts';
import { newAccount, newInstance } from '../../factories.ts';
import { readNextLook } from './bill-rows.ts';
import type { Run, SimAccount, SimPrice } from './naive-bill.ts';
import { addBudgets, watchBudgets } from './year-budgets.ts';
import type { SpentCall } from './year-budgets.ts';
import { createYearCalls } from './year-calls.ts';
import { ALL_SHARDS, createYearRuns } from './year-runs.ts';
import type { EndKind } from './year-runs.ts';
import { SHARDS } from '../../../domain/temporal/shards.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
export const YEAR = 365 * DAY;

export interface Year {
  accounts: SimAccount[];
  prices: SimPrice[];
  spent: SpentCall[];
  counts: Record<
    | 'opened'
    | 'stopped'
    | 'died'
    | 'silent'
    | 'destroyed'
    | 'exhausted'
    | 'refused'
    | 'grants'
    | 'sweeps'
    | 'lost'
    | 'doubled'
    | 'late'
    | 'warned'
    | 'calls'
    | 'leftCalls'
    | 'refusedCalls'
    | 'capped',
    number
  >;
}

interface Options {
  orm: MikroORM;
  makeId: MakeId;
  dice: Dice;
  startsAt: number;
  instances: number;
  accounts: number;
  runsOfEach: number;
}

interface Event {
  at: number;
  /** Answers false when it did not touch anybody's money. */
  happen(at: number): Promise<boolean | void>;
}

/**
 * A year of instances that start, stop, die, fall silent and are deleted, of model calls, grants, new prices, and sweeps that are
 * lost, doubled and late. Everything happens by the functions of the product, at the times of the simulation; what is
 * true is written down beside it.
 */
export async function simulateYear(options: Options): Promise<Year> {
  const { orm, makeId, dice, startsAt } = options;
  const date = (at: number): Date => new Date(at);
  const counts: Year['counts'] = {
    opened: 0,
    stopped: 0,
    died: 0,
    silent: 0,
    destroyed: 0,
    exhausted: 0,
    refused: 0,
    grants: 0,
    sweeps: 0,
    lost: 0,
    doubled: 0,
    late: 0,
    warned: 0,
    calls: 0,
    leftCalls: 0,
    refusedCalls: 0,
    capped: 0,
  };
  const year: Year = { accounts: [], prices: [], spent: [], counts };
  const events: Event[] = [];
  let lookedAt = startsAt;
  /** Adds an event to those that are in order, the next one last. */
  const later = (at: number, happen: Event['happen']): void => {
    const place = events.findLastIndex((event) => event.at > at) + 1;
    events.splice(place, 0, { at, happen });
  };
  const calls = createYearCalls({ orm, dice, later });
  const { open, end, round, noteStop, isUnheard } = createYearRuns({ orm, dice, later, prices: year.prices, counts });

  async function sweep(at: number): Promise<void> {
    await round(
      ALL_SHARDS.filter(() => dice.below(3) > 0),
      at,
    );
    if (dice.below(10) < 3) {
      counts.lost += 1;
      return;
    }
    const isLate = dice.below(10) === 0;
    const now = date(isLate ? at - dice.below(DAY) : at);
    const batch = dice.pick([7, 50, 5_000]);
    const isDoubled = dice.below(10) === 0;
    await Promise.all(Array.from({ length: isDoubled ? 2 : 1 }, () => debitDue(orm.em, { now, batch })));
    counts.sweeps += 1;
    counts.late += Number(isLate);
    counts.doubled += Number(isDoubled);
  }

  /** What the watch does every two seconds. */
  async function watch(at: number): Promise<boolean> {
    const before = counts.exhausted + counts.warned;
    for (const accountId of await listExhausted(orm.em.fork(), date(at), 1_000)) {
      const stopped = await runTransaction(orm.em, (em) => stopExhausted(em, { accountId, now: date(at), makeId }));
      for (const instanceId of stopped) counts.exhausted += await noteStop(instanceId, at);
    }
    for (const accountId of await listLow(orm.em.fork(), date(at), 1_000))
      counts.warned += Number(await runTransaction(orm.em, (em) => warnLow(em, { accountId, now: date(at), makeId })));
    const { looks, stopped } = await watchBudgets(orm, makeId, date(at));
    for (const instanceId of stopped) counts.capped += await noteStop(instanceId, at);
    return looks > 0 || counts.exhausted + counts.warned > before;
  }

  async function grant(account: SimAccount, amount: bigint, at: number): Promise<void> {
    const [id, reason] = [makeId('txn'), 'test'];
    await runTransaction(orm.em, (em) =>
      grantCredit(em, { id, accountId: account.id, amountNanoUsd: amount, reason, now: date(at), makeId }),
    );
    account.credits.push({ at, amount });
    counts.grants += 1;
  }

  async function price(nanoUsdPerHour: bigint, at: number): Promise<void> {
    await runTransaction(orm.em, (em) => setPrice(em, nanoUsdPerHour, date(at)));
    if (year.prices.at(-1)?.nanoUsdPerHour !== nanoUsdPerHour) year.prices.push({ startsAt: at, nanoUsdPerHour });
  }

  await price(30_000_000n, startsAt);
  await orm.em.fork().execute(`update watch_shards set owner = 'simulation', epoch = 1`);
  for (let number = 0; number < options.accounts; number += 1) {
    const { accountId } = await newAccount(orm, { id: makeId('acc'), createdAt: date(startsAt) });
    await addBudgets(orm, dice, accountId, date(startsAt));
    year.accounts.push({ id: accountId, credits: [], runs: [], calls: [] });
  }
  const within = (): number => startsAt + Math.floor(dice.next() * YEAR);
  for (const account of year.accounts) {
    events.push({ at: startsAt + 1, happen: (at) => grant(account, BigInt(1 + dice.below(8)) * 1_000_000_000n, at) });
    for (let more = dice.below(6); more > 0; more -= 1)
      events.push({ at: within(), happen: (at) => grant(account, BigInt(1 + dice.below(5_000_000)) * 1_000n, at) });
  }
  for (let change = 0; change < 8; change += 1)
    events.push({ at: within(), happen: (at) => price(BigInt(10_000_000 + dice.below(70_000_000)), at) });
  await calls.changePrices(startsAt);
  for (let change = 0; change < 6; change += 1) events.push({ at: within(), happen: (at) => calls.changePrices(at) });
  for (let at = startsAt; at < startsAt + YEAR; at += dice.below(30 * HOUR)) events.push({ at, happen: sweep });
  for (let number = 0; number < options.instances; number += 1) {
    const account = dice.pick(year.accounts);
    const [instanceId, shard] = [makeId('inst'), dice.below(SHARDS)];
    await newInstance(orm, { id: instanceId, account: account.id, shard, createdAt: date(startsAt) });
    let at = startsAt + DAY;
    for (let index = 0; index < options.runsOfEach; index += 1) {
      at += Math.floor((dice.next() * 2 * YEAR) / (options.runsOfEach + 1));
      const length = dice.pick([dice.below(5 * SECOND), dice.below(HOUR), dice.below(DAY), dice.below(4 * DAY)]) + 4;
      if (at + length > startsAt + YEAR) break;
      const isLast = index === options.runsOfEach - 1;
      const kind: EndKind = isLast ? 'destroyed' : dice.pick(['stopped', 'stopped', 'died', 'silent']);
      const run: Run = {
        instanceId,
        shard,
        bootId: `boot-${instanceId}-${index}`,
        intervalId: makeId('int'),
        state: 'planned',
        startedAt: 0,
        endedAt: null,
        lostAt: null,
        isProven: false,
      };
      events.push({
        at,
        happen: async (now) => (isUnheard(instanceId, now) ? false : open(account, run, now)),
      });
      if (length > 3 * SECOND)
        events.push({
          at: at + 3 * SECOND,
          happen: async (now) => {
            if (run.state === 'running') await round([shard], now, [run]);
            return false;
          },
        });
      for (let more = dice.below(6); more > 0; more -= 1)
        events.push({
          at: at + 1 + dice.below(length),
          happen: async (now) => (run.state === 'running' ? calls.call(account, instanceId, now) : false),
        });
      events.push({ at: at + length, happen: (now) => end(run, kind, now) });
      at += length;
    }
  }

  // The watch looks every two seconds; nothing changes between two events but the time, so it looks when money may run out.
  events.sort((one, other) => other.at - one.at);
  let [isTouched, nextLook, happenedAt] = [true, startsAt, startsAt];
  while (events.length > 0) {
    const event = events.pop();
    if (!event) break;
    for (let pauseMs = 2 * SECOND; ;) {
      if (isTouched) nextLook = await readNextLook(orm);
      isTouched = false;
      if (nextLook >= event.at) break;
      // News of what has happened may set its next look before that; the clock goes on all the same.
      lookedAt = Math.max(nextLook, lookedAt + pauseMs, happenedAt);
      if (lookedAt >= event.at) break;
      // Two seconds, unless it waits for news of a gateway: then the simulation has no time for each look.
      pauseMs = (await watch(lookedAt)) ? 2 * SECOND : 10 * 60 * SECOND;
      isTouched = true;
    }
    isTouched = (await event.happen(event.at)) !== false;
    happenedAt = event.at;
  }
  const over = startsAt + YEAR + DAY;
  await round(ALL_SHARDS, over);
  await debitDue(orm.em, { now: date(over + HOUR) });
  Object.assign(counts, calls.counts);
  year.spent = calls.spent;
  return year;
}
