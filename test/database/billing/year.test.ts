import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { MikroORM } from '@mikro-orm/postgresql';
import { verifyBilling } from '../../../database/billing/verify-billing.ts';
import { createIdMaker } from '../../../domain/ids.ts';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../../support/campaign.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';
import { accountCost, naiveShortage, runCost } from './naive-bill.ts';
import { budgetDifference } from './year-budgets.ts';
import { simulateYear, YEAR } from './year.ts';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';

const STARTS_AT = Date.parse('2027-01-01T00:00:00Z');
const END = STARTS_AT + 2 * YEAR;
const rounds = Math.ceil(campaignRounds() / 3);
/** One round alone is for every run of the tests. */
const INSTANCES = campaignRounds() === 1 ? 100 : 500;

let database: TestOrm;
let orm: MikroORM;

beforeAll(async () => {
  database = await openTestOrm();
  ({ orm } = database);
});

afterAll(() => database.close());

describe(`a year of ${INSTANCES} instances`, () => {
  test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
    'ends without a difference of one nano-dollar, round %i',
    async (round) => {
      if (round > 1) await beginAnew();
      const dice = createDice('a year of bills');
      const makeId = createIdMaker(randomBytes);
      const startedAt = performance.now();
      const { accounts, prices, spent, counts } = await simulateYear({
        orm,
        dice,
        makeId,
        startsAt: STARTS_AT,
        instances: INSTANCES,
        accounts: Math.ceil(INSTANCES / 8),
        runsOfEach: 3,
      });
      const seconds = (performance.now() - startedAt) / 1000;
      const [debits, books] = [await debitsByInterval(), await booksByAccount()];
      let difference = 0n;
      for (const account of accounts) {
        for (const run of account.runs) difference += absolute((debits.get(run.intervalId) ?? 0n) - runCost(prices, run, END));
        const paidIn = account.credits.reduce((sum, { amount }) => sum + amount, 0n);
        const lost = naiveShortage(prices, account, END);
        const book = books.get(account.id);
        difference +=
          absolute((book?.lost ?? 0n) - lost) +
          absolute((book?.balance ?? 0n) - (paidIn + lost - accountCost(prices, account, END)));
      }
      const budgets = await budgetDifference(orm, { calls: spent, accounts, prices, at: END, makeId });
      difference += budgets.difference;
      const verified = await verifyBilling(orm.em.fork());
      expect(verified.problems).toEqual([]);
      expect(difference).toBe(0n);
      expect(await unsettled()).toBe(0);
      const ledger = `${verified.lines} ledger lines of ${verified.intervals} intervals and ${budgets.rows} periods of budgets at ${prices.length} prices`;
      const outcome = `${describeCounts(counts)}: ${ledger}, difference ${difference} nano-dollars, ${seconds.toFixed(1)} s`;
      const { lines, intervals } = verified;
      const found = { lines, intervals };
      await reportCampaign({ name: 'a year of bills', seed: dice.seed, counts: found, outcome, file: import.meta.filename });
    },
    TEST_LIMIT_MS,
  );
});

async function beginAnew(): Promise<void> {
  await database.close();
  database = await openTestOrm();
  ({ orm } = database);
}

const absolute = (amount: bigint): bigint => (amount < 0n ? -amount : amount);

async function debitsByInterval(): Promise<Map<string, bigint>> {
  const rows = await orm.em
    .fork()
    .execute<{ id: string; sum: string }[]>(
      `select interval_id as id, sum(amount_nano_usd)::text as sum from transfers where kind = 'debit' group by interval_id`,
    );
  return new Map(rows.map(({ id, sum }) => [id, BigInt(sum)]));
}

async function booksByAccount(): Promise<Map<string, { balance: bigint; lost: bigint }>> {
  const rows = await orm.em.fork().execute<{ id: string; balance: string; lost: string }[]>(
    `select id, balance_nano_usd::text as balance,
            (select coalesce(sum(amount_nano_usd), 0) from transfers where account_id = accounts.id and kind = 'writeoff')::text as lost
       from accounts`,
  );
  return new Map(rows.map(({ id, balance, lost }) => [id, { balance: BigInt(balance), lost: BigInt(lost) }]));
}

async function unsettled(): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number }[]>('select count(*)::int as count from runtime_intervals where not settled');
  return row?.count ?? 0;
}
