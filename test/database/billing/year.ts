import type { MikroORM } from '@mikro-orm/postgresql';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { debitDue } from '../../../database/billing/debit-due.ts';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { listExhausted, stopExhausted } from '../../../database/billing/stop-exhausted.ts';
import { listLow, warnLow } from '../../../database/billing/warn-low.ts';
import { closeInterval, openInterval, proveEnd } from '../../../database/billing/intervals.ts';
import { proveAlive } from '../../../database/processes/prove-alive.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { MakeId } from '../../../domain/ids.ts';
import type { Dice } from '../../support/campaign.ts';
import { newAccount, newInstance } from '../../factories.ts';
import { readNextLook } from './bill-rows.ts';
import { accountCost, naiveShortage } from './naive-bill.ts';
import type { Run, SimAccount, SimPrice } from './naive-bill.ts';
import { createYearCalls } from './year-calls.ts';
import { SHARDS } from '../../../domain/shards.ts';

export const SECOND = 1_000;
export const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;
export const YEAR = 365 * DAY;
const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

export interface Year {
  accounts: SimAccount[];
  prices: SimPrice[];
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
    | 'leftCalls',
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

type EndKind = 'stopped' | 'died' | 'silent' | 'destroyed';

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
  };
  const year: Year = { accounts: [], prices: [], counts };
  const events: Event[] = [];
  /** Until when the gateways of each shard are proven to live. */
  const proofs = new Map<number, number>();
  /** Dead or left, and not yet told by a round. */
  const unheard = new Map<number, Run[]>(ALL_SHARDS.map((shard) => [shard, []]));
  const runs = new Map<string, Run>();
  /** Nobody has heard of its death until then. */
  const blockedUntil = new Map<string, number>();
  let lookedAt = startsAt;
  /** Adds an event to those that are in order, the next one last. */
  const later = (at: number, happen: Event['happen']): void => {
    const place = events.findLastIndex((event) => event.at > at) + 1;
    events.splice(place, 0, { at, happen });
  };
  const calls = createYearCalls({ orm, dice, later });

  /** A round of pings of these shards: those that are gone do not answer, and of the others these are new. */
  async function round(shards: readonly number[], at: number, alive: Run[] = []): Promise<void> {
    const gone = shards.flatMap((shard) => unheard.get(shard)?.splice(0) ?? []);
    const signOf = ({ instanceId, bootId, shard }: Run, answered: boolean) => ({ instanceId, bootId, shard, answered });
    await proveAlive(orm.em.fork(), {
      owner: 'simulation',
      leases: shards.map((shard) => ({ shard, epoch: 1 })),
      sentAt: date(at).toISOString(),
      changes: [...gone.map((run) => signOf(run, false)), ...alive.map((run) => signOf(run, true))],
    });
    for (const run of gone) {
      const before = proofs.get(run.shard) ?? null;
      if (run.lostAt === null && (run.endedAt === null || before === null || run.endedAt > before))
        run.lostAt = Math.max(run.startedAt, before ?? 0);
    }
    for (const shard of shards) proofs.set(shard, Math.max(proofs.get(shard) ?? 0, at));
    for (const run of alive) run.lostAt = null;
  }

  async function open(account: SimAccount, run: Run, at: number): Promise<boolean> {
    const { available } = await findAccountMoney(orm.em.fork(), account.id, date(at));
    // What the product says is there is what the simple sum says, at any moment.
    const sum =
      account.credits.reduce((total, { amount }) => total + amount, 0n) +
      naiveShortage(year.prices, account, at) -
      accountCost(year.prices, account, at);
    const isKnown = account.runs.every((known) => known.lostAt === null && !unheard.get(known.shard)?.includes(known));
    if (isKnown && available > 0n !== sum > 0n) throw new Error(`${available} is there at ${at}, not ${sum}`);
    if (available <= 0n) {
      counts.refused += 1;
      return false;
    }
    Object.assign(run, { startedAt: at, lostAt: at, state: 'running' });
    account.runs.push(run);
    runs.set(run.instanceId, run);
    await runTransaction(orm.em, async (em) => {
      await em.execute(
        `update instances set desired_status = 'running', status = 'running', boot_id = ?, deleted_at = null where id = ?`,
        [run.bootId, run.instanceId],
      );
      const { instanceId, bootId } = run;
      await openInterval(em, { id: run.intervalId, instanceId, accountId: account.id, bootId, now: date(at) });
    });
    counts.opened += 1;
    return true;
  }

  async function end(run: Run, kind: EndKind, at: number): Promise<boolean | void> {
    if (run.state !== 'running') return false;
    const { instanceId, bootId, shard } = run;
    const release = `update instances set boot_id = null, desired_status = ?, status = 'stopped' where id = ?`;
    Object.assign(run, { state: 'ended' });
    if (kind === 'silent') {
      // A round finds that it does not answer; half a minute later it is given up, with no word of when it ended.
      unheard.get(shard)?.push(run);
      later(at + 3 * SECOND, (now) => round([shard], now));
      later(at + 30 * SECOND, async (now) => {
        run.endedAt = run.lostAt;
        await runTransaction(orm.em, async (em) => {
          await closeInterval(em, instanceId, date(run.lostAt ?? now), date(now));
          await em.execute(release, ['stopped', instanceId]);
        });
      });
      blockedUntil.set(instanceId, at + 30 * SECOND);
    } else if (kind === 'died') {
      // The whole control plane may have been away: it hears of the death up to some hours later.
      const heardAt = at + dice.below(2) * dice.below(5 * HOUR) + 500;
      unheard.get(shard)?.push(run);
      Object.assign(run, { endedAt: at, isProven: true });
      later(heardAt, (now) =>
        runTransaction(orm.em, async (em) => {
          await closeInterval(em, instanceId, date(at), date(now));
          await proveEnd(em, { instanceId, bootId, diedAt: date(at) });
          await em.execute(release, ['stopped', instanceId]);
        }),
      );
      blockedUntil.set(instanceId, heardAt);
    } else {
      const isProven = dice.below(2) === 0;
      Object.assign(run, { endedAt: at, isProven });
      await runTransaction(orm.em, async (em) => {
        await closeInterval(em, instanceId, null, date(at));
        await em.execute(release, [kind === 'destroyed' ? 'destroyed' : 'stopped', instanceId]);
        if (isProven) await proveEnd(em, { instanceId, bootId, diedAt: null });
      });
      unheard.get(shard)?.push(run);
    }
    counts[kind] += 1;
  }
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
      for (const instanceId of stopped) {
        const run = runs.get(instanceId);
        if (run?.state !== 'running') continue;
        Object.assign(run, { state: 'ended', endedAt: at });
        unheard.get(run.shard)?.push(run);
        await orm.em.fork().execute(`update instances set boot_id = null, status = 'stopped' where id = ?`, [instanceId]);
        counts.exhausted += 1;
      }
    }
    for (const accountId of await listLow(orm.em.fork(), date(at), 1_000))
      counts.warned += Number(await runTransaction(orm.em, (em) => warnLow(em, { accountId, now: date(at), makeId })));
    return counts.exhausted + counts.warned > before;
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
        happen: async (now) => (now < (blockedUntil.get(instanceId) ?? 0) ? false : open(account, run, now)),
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
  return year;
}
