import type { MikroORM } from '@mikro-orm/postgresql';
import { grantCredit } from '../../../database/billing/grant-credit.ts';
import { setPrice } from '../../../database/billing/set-price.ts';
import { openInterval } from '../../../database/billing/intervals.ts';
import { proveAlive } from '../../../database/processes/prove-alive.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { MakeId } from '../../../domain/ids.ts';
import { newAccount, newInstance } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** 0.03 dollars an hour, in nano-dollars. */
export const PRICE = 30_000_000n;

/** A test database, open, whose price holds from an hour before this moment on. */
export async function openPriced(from: number): Promise<TestOrm> {
  const database = await openTestOrm();
  await runTransaction(database.orm.em, (em) => setPrice(em, PRICE, new Date(from - HOUR)));
  return database;
}

export interface Running {
  accountId: string;
  instanceId: string;
  intervalId: string;
  bootId: string;
  shard: number;
}

/** An instance of shard 0 that runs since then and has answered its first ping. Its account gets this credit. */
export async function startRunning(
  orm: MikroORM,
  makeId: MakeId,
  { at, creditNanoUsd, accountId: given }: { at: number; creditNanoUsd?: bigint; accountId?: string },
): Promise<Running> {
  const createdAt = new Date(at);
  const { accountId } = given ? { accountId: given } : await newAccount(orm, { id: makeId('acc'), createdAt });
  const [instanceId, bootId, intervalId] = [makeId('inst'), makeId('run'), makeId('int')];
  if (creditNanoUsd !== undefined)
    await runTransaction(orm.em, (em) =>
      grantCredit(em, { id: makeId('txn'), accountId, amountNanoUsd: creditNanoUsd, reason: 'test', now: new Date(at), makeId }),
    );
  await newInstance(orm, { id: instanceId, account: accountId, createdAt, bootId });
  await runTransaction(orm.em, (em) => openInterval(em, { id: intervalId, instanceId, accountId, bootId, now: new Date(at) }));
  const running = { accountId, instanceId, intervalId, bootId, shard: 0 };
  await pings(orm, at, [{ ...running, answered: true }]);
  return running;
}

/** A round of pings of shard 0 that was sent at this moment; what is not named answers as it did before. */
export async function pings(
  orm: MikroORM,
  at: number,
  changes: (Pick<Running, 'instanceId' | 'bootId' | 'shard'> & { answered: boolean })[] = [],
  isFirst = false,
): Promise<void> {
  await orm.em.fork().execute(`update watch_shards set owner = 'test', epoch = 1 where owner is null`);
  const round = { owner: 'test', leases: [{ shard: 0, epoch: 1, isFirst }], sentAt: new Date(at).toISOString(), changes };
  await proveAlive(orm.em.fork(), round);
}

/** When somebody's money may run out, somebody is to be warned or a budget is to be looked at, by the watch's steps of two seconds. */
export async function readNextLook(orm: MikroORM): Promise<number> {
  const [row] = await orm.em.fork().execute<{ at: number | null }[]>(
    `select (extract(epoch from least(min(exhausts_at), min(notice_at), (select min(look_at) from budget_spends))) * 1000)::float8 as at
         from accounts`,
  );
  return row?.at == null ? Number.POSITIVE_INFINITY : Math.ceil(row.at / (2 * SECOND)) * 2 * SECOND;
}
