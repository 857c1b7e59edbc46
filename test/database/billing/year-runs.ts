import type { MikroORM } from '@mikro-orm/postgresql';
import { findAccountMoney } from '../../../database/billing/account-money.ts';
import { closeInterval, openInterval, proveEnd } from '../../../database/billing/intervals.ts';
import { proveAlive } from '../../../database/processes/prove-alive.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { SHARDS } from '../../../domain/temporal/shards.ts';
import type { Dice } from '../../support/campaign.ts';
import { accountCost, naiveShortage } from './naive-bill.ts';
import type { Run, SimAccount, SimPrice } from './naive-bill.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
export const ALL_SHARDS = Array.from({ length: SHARDS }, (_, shard) => shard);

export type EndKind = 'stopped' | 'died' | 'silent' | 'destroyed';

interface Options {
  orm: MikroORM;
  dice: Dice;
  prices: SimPrice[];
  counts: Record<EndKind | 'opened' | 'refused', number>;
  later(at: number, happen: (at: number) => Promise<boolean | void>): void;
}

export interface YearRuns {
  /** Begins a run, if there is money for it. False when there is none. */
  open(account: SimAccount, run: Run, at: number): Promise<boolean>;
  /** Ends a run in one of the ways in which runs end. False when it has ended already. */
  end(run: Run, kind: EndKind, at: number): Promise<boolean | void>;
  /** A round of pings of these shards: those that are gone do not answer, and of the others these are new. */
  round(shards: readonly number[], at: number, alive?: Run[]): Promise<void>;
  /** What the product stops ends at this moment. Answers how many runs that were. */
  noteStop(instanceId: string, at: number): Promise<number>;
  /** The worker does not know of the end of its last run yet. */
  isUnheard(instanceId: string, at: number): boolean;
}

/** The runs of the instances of a simulated year: by the functions of the product, with what is true written down beside it. */
export function createYearRuns({ orm, dice, prices, counts, later }: Options): YearRuns {
  const date = (at: number): Date => new Date(at);
  /** Until when the gateways of each shard are proven to live. */
  const proofs = new Map<number, number>();
  /** Dead or left, and not yet told by a round. */
  const unheard = new Map<number, Run[]>(ALL_SHARDS.map((shard) => [shard, []]));
  const runs = new Map<string, Run>();
  /** The worker does not know of its death until then. */
  const blockedUntil = new Map<string, number>();

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
      naiveShortage(prices, account, at) -
      accountCost(prices, account, at);
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

  async function noteStop(instanceId: string, at: number): Promise<number> {
    const run = runs.get(instanceId);
    if (run?.state !== 'running') return 0;
    Object.assign(run, { state: 'ended', endedAt: at });
    unheard.get(run.shard)?.push(run);
    await orm.em.fork().execute(`update instances set boot_id = null, status = 'stopped' where id = ?`, [instanceId]);
    return 1;
  }

  return { open, end, round, noteStop, isUnheard: (instanceId, at) => at < (blockedUntil.get(instanceId) ?? 0) };
}
