import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTokenPrices } from '../../database/billing/set-token-prices.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { newAccount, newInstance } from '../factories.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, ask, MODEL, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';

let database: TestOrm;
let model: FakeModel;
let relay: RelayUnderTest;

beforeAll(async () => {
  database = await openTestOrm();
  const price = { model: MODEL, input: 1_000_000_000n, output: 5_000_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(database.orm.em, (em) => setTokenPrices(em, [price], null));
  model = await startFakeModel();
  relay = await startRelay(database.url, model.url);
});

afterAll(async () => {
  await relay.close();
  await model.close();
  await database.close();
});

const costsOf = async ({ agentId }: TestAgent): Promise<string[]> => {
  const calls = await database.orm.em
    .fork()
    .execute<{ cost: string }[]>('select cost_nano_usd::text as cost from model_calls where agent_id = ? order by id', [agentId]);
  return calls.map(({ cost }) => cost);
};

/** Three tokens in and three out: 18,000 nano-dollars. */
const CALL = '[[WORDS 3]] priced';

test('a call costs what its tokens cost, when it has ended', async () => {
  const { accountId } = await newAccount(database.orm, { balanceNanoUsd: 50_000n });
  const agent = await addAgent(database.orm, { instance: await newInstance(database.orm, { account: accountId }) });
  await (await ask(relay, { token: agent.token, text: CALL })).text();
  expect(await costsOf(agent)).toEqual(['18000']);
});

test('calls that are not debited yet use up the money of the account', async () => {
  const { accountId } = await newAccount(database.orm, { balanceNanoUsd: 18_000n });
  const instance = await newInstance(database.orm, { account: accountId });
  const [first, other] = [await addAgent(database.orm, { instance }), await addAgent(database.orm, { instance })];
  await (await ask(relay, { token: first.token, text: CALL })).text();
  expect(await costsOf(first)).toEqual(['18000']);
  // An agent that the relay has not looked up before.
  const refused = await ask(relay, { token: other.token, text: CALL });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('balance of the account is used up')]);
});
