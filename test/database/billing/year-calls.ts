import type { MikroORM } from '@mikro-orm/postgresql';
import { reckonCharged } from '../../../database/billing/reckon-charged.ts';
import { settleLeftCalls } from '../../../database/billing/settle-left-calls.ts';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { Dice } from '../../support/campaign.ts';
import { newAgent } from '../../factories.ts';
import { callCost } from './naive-bill.ts';
import type { SimAccount, SimTokenPrice } from './naive-bill.ts';
import type { SpentCall } from './year-budgets.ts';

const MINUTE = 60_000;
/** How long a call that its relay left behind is kept. */
const KEPT_MS = 20 * MINUTE;
const MODELS = ['dear', 'cheap', 'free'];

interface Options {
  orm: MikroORM;
  dice: Dice;
  /** Has something happen at a later time. */
  later(at: number, happen: (at: number) => Promise<boolean | void>): void;
}

export interface YearCalls {
  prices: SimTokenPrice[];
  counts: { calls: number; leftCalls: number; refusedCalls: number };
  spent: SpentCall[];
  /** Enters new prices of some of the models. */
  changePrices(at: number): Promise<void>;
  /** An agent of this instance, which has each model, begins a call that ends some seconds or minutes later. */
  call(account: SimAccount, instanceId: string, at: number): Promise<false>;
}

/** Model calls of a simulated year: by the functions of the product, with what is true written down beside it. */
export function createYearCalls({ orm, dice, later }: Options): YearCalls {
  const prices: SimTokenPrice[] = [];
  const counts = { calls: 0, leftCalls: 0, refusedCalls: 0 };
  const spent: SpentCall[] = [];
  const agents = new Map<string, string>();
  const date = (at: number): Date => new Date(at);

  async function agentOf(accountId: string, instanceId: string): Promise<string> {
    const known = agents.get(instanceId);
    if (known !== undefined) return known;
    const { agentId } = await newAgent(orm, { account: accountId, instance: instanceId });
    agents.set(instanceId, agentId);
    return agentId;
  }

  return {
    prices,
    counts,
    spent,
    async changePrices(at) {
      const given = MODELS.filter((model) => model !== 'free' && dice.below(4) > 0).map((model) => {
        const perMillion = (): bigint => BigInt(dice.below(model === 'dear' ? 15_000_000_000 : 600_000_000));
        return { model, input: perMillion(), output: perMillion(), cacheRead: perMillion(), cacheWrite: perMillion() };
      });
      // Each process of the platform enters the same prices when it starts.
      for (let times = 0; times < 2; times += 1) await runTransaction(orm.em, (em) => setTokenPrices(em, given, date(at)));
      const none = { input: 0n, output: 0n, cacheRead: 0n, cacheWrite: 0n };
      prices.push(
        ...MODELS.map((model) => ({ startsAt: at, ...(given.find((one) => one.model === model) ?? { model, ...none }) })),
      );
    },
    async call(account, instanceId, at) {
      const model = dice.pick(MODELS);
      const [inputTokens, outputTokens] = [dice.below(200_000), dice.below(8_000)];
      const cacheReadTokens = dice.below(inputTokens + 1);
      const cacheWriteTokens = dice.below(inputTokens - cacheReadTokens + 1);
      const agentId = await agentOf(account.id, instanceId);
      const [reserved] = await orm.em
        .fork()
        .execute<{ id: string | null }[]>('select call_id as id from reserve_model_call(?, ?, ?, null, ?, 200000, 8000, ?, ?)', [
          account.id,
          instanceId,
          agentId,
          model,
          KEPT_MS,
          date(at),
        ]);
      if (reserved?.id == null) {
        counts.refusedCalls += 1;
        return false;
      }
      const isLeft = dice.below(20) === 0;
      const tokens = isLeft
        ? { inputTokens: 200_000, outputTokens: 8_000, cacheReadTokens: 0, cacheWriteTokens: 0 }
        : { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens };
      const cost = callCost(prices, { model, begunAt: at, ...tokens });
      later(isLeft ? at + KEPT_MS + 1 : at + 1 + dice.below(10 * MINUTE), async (now) => {
        const em = orm.em.fork();
        if (isLeft) await settleLeftCalls(em, { limit: 10, now: date(now) });
        else
          // A settlement that is repeated changes nothing.
          for (let times = 0; times < 2; times += 1)
            await em.execute('select settle_model_call(?, ?, ?, ?, ?, 0, null, null, null, ?)', [
              ...[reserved.id, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, date(now)],
            ]);
        account.calls.push({ at: now, cost });
        spent.push({ accountId: account.id, instanceId, agentId, begunAt: at, cost });
        counts.calls += 1;
        counts.leftCalls += Number(isLeft);
        await runTransaction(orm.em, (inner) => reckonCharged(inner, date(now), 1_000));
      });
      return false;
    },
  };
}
