import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTokenPrices } from '../../database/billing/set-token-prices.ts';
import { verifyBilling } from '../../database/billing/verify-billing.ts';
import type { Budget } from '../../database/entities/budget.ts';
import { findRefusal } from '../../database/messages/find-refusal.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { newAccount, newBudget, newInstance, newTurn } from '../factories.ts';
import type { NewInstance } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, ask, callsOf, estimateOf, MODEL, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';

/** What a token read and a token written cost, in nano-dollars. */
const [IN, OUT] = [1_000n, 5_000n];
/** Of the model of these tests. */
const MAX_TOKENS = 1_024;
/** Three tokens in and three out. */
const CALL = '[[WORDS 3]] priced';
const COST = 3n * IN + 3n * OUT;

let database: TestOrm;
let model: FakeModel;
/** Two processes of the relay, as the database sees them. */
let relay: RelayUnderTest;
let other: RelayUnderTest;

beforeAll(async () => {
  database = await openTestOrm();
  const price = { model: MODEL, input: IN * 1_000_000n, output: OUT * 1_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(database.orm.em, (em) => setTokenPrices(em, [price], null));
  model = await startFakeModel();
  [relay, other] = [await startRelay(database.url, model.url), await startRelay(database.url, model.url)];
});

afterAll(async () => {
  for (const one of [relay, other]) await one.close();
  await model.close();
  await database.close();
});

/** An agent whose account has a dollar, and a budget of that account. */
async function capped(values: Partial<Budget> = {}): Promise<{ instance: NewInstance; agent: TestAgent; budgetId: string }> {
  const { accountId } = await newAccount(database.orm, { balanceNanoUsd: 1_000_000_000n });
  const instance = await newInstance(database.orm, { account: accountId });
  const agent = await addAgent(database.orm, { instance });
  return { instance, agent, ...(await newBudget(database.orm, { account: accountId, period: 'total', ...values })) };
}

const spendOf = async (budgetId: string): Promise<object | undefined> => {
  const [row] = await database.orm.em
    .fork()
    .execute<{ tokens: string; reserved: string }[]>(
      'select tokens_nano_usd::text as tokens, reserved_nano_usd::text as reserved from budget_spends where budget_id = ?',
      [budgetId],
    );
  return row;
};
const spent = (tokens: bigint, reserved = 0n) => ({ tokens: String(tokens), reserved: String(reserved) });

const callsNamed = (text: string): number => model.calls.filter(({ lastUserText }) => lastUserText === text).length;

describe('a model call', () => {
  test('that a budget has no room for is refused by its name, goes to no provider, and is stored with its turn', async () => {
    const { agent, budgetId } = await capped({ senderId: '*', limitNanoUsd: COST });
    const traceId = randomBytes(16).toString('hex');
    const { messageId } = await newTurn(database.orm, agent, { traceId });
    await (await ask(relay, { token: agent.token, text: CALL, traceId })).text();
    const text = `${CALL} ${budgetId}`;
    const refused = await ask(relay, { token: agent.token, text, traceId });
    const message = `The budget "Test" (${budgetId}) is used up. Raise its limit.`;
    expect(await refused.json()).toEqual({ error: { message, type: 'invalid_request_error', code: 'budget_reached' } });
    expect([refused.status, callsNamed(text)]).toEqual([400, 0]);
    const budget = { budgetId, name: 'Test', period: 'total' };
    expect(await findRefusal(database.orm.em.fork(), messageId)).toEqual({ kind: 'budget', budget });
    // What no end user has said is not counted.
    expect((await ask(relay, { token: agent.token, text: CALL })).status).toBe(200);
    const { problems } = await verifyBilling(database.orm.em.fork());
    // The test has given the account its balance without a line.
    expect(problems.filter((problem) => !problem.includes('its lines add up to'))).toEqual([]);
  });

  test('says when the budget begins anew', async () => {
    const { agent } = await capped({ limitNanoUsd: 1n, period: 'month' });
    await (await ask(relay, { token: agent.token, text: CALL })).text();
    const { error } = JSON.parse(await (await ask(relay, { token: agent.token, text: CALL })).text());
    expect(error.message).toMatch(/is used up\. Raise its limit, or wait until it resets at \d{4}-\d\d-01T00:00:00\.000Z\.$/);
  });

  test('that its provider refuses gives back what was reserved for it', async () => {
    const { agent, budgetId } = await capped();
    expect((await ask(relay, { token: agent.token, text: '[[FAIL 500]]' })).status).toBe(400);
    expect(await spendOf(budgetId)).toEqual(spent(0n));
  });

  test('that streams past its estimate counts what it cost, and the next one is refused', async () => {
    const text = '[[WORDS 500]] much';
    const fields = { max_tokens: 2 };
    const promised = BigInt(estimateOf({ text, fields })) * IN + 2n * OUT;
    const { agent, budgetId } = await capped({ limitNanoUsd: promised + 1n });
    const answer = await ask(relay, { token: agent.token, text, fields });
    expect(answer.status).toBe(200);
    await answer.text();
    expect(await spendOf(budgetId)).toEqual(spent(3n * IN + 500n * OUT));
    expect((await ask(relay, { token: agent.token, text, fields })).status).toBe(400);
  });
});

test('at a limit with room for three calls, three of thirty that come at once to two relays go out', async () => {
  const text = `${CALL} [[HOLD three 0]]`;
  const promised = BigInt(estimateOf({ text })) * IN + BigInt(MAX_TOKENS) * OUT;
  const { instance, agent, budgetId } = await capped({ limitNanoUsd: 3n * promised });
  const agents = [agent];
  while (agents.length < 4) agents.push(await addAgent(database.orm, { instance }));
  const answers = Array.from({ length: 30 }, async (_, index) => {
    const response = await ask(index % 2 === 0 ? relay : other, { token: agents[index % 4]?.token ?? '', text });
    return { status: response.status, body: await response.text() };
  });
  const ended: number[] = [];
  for (const answer of answers) void answer.then(({ status }) => ended.push(status));
  await eventually(async () => expect(ended).toEqual(Array(27).fill(400)));
  expect(callsNamed(text)).toBe(3);
  expect(await spendOf(budgetId)).toEqual(spent(0n, 3n * promised));
  model.release('three');
  const all = await Promise.all(answers);
  expect(all.filter(({ status }) => status === 200)).toHaveLength(3);
  const refusals = all.filter(({ status }) => status === 400).map(({ body }) => JSON.parse(body).error.code);
  expect(refusals).toEqual(Array(27).fill('budget_reached'));
  const usage = model.calls.find(({ lastUserText }) => lastUserText === text)?.usage;
  const cost = BigInt(usage?.promptTokens ?? 0) * IN + BigInt(usage?.completionTokens ?? 0) * OUT;
  expect(await spendOf(budgetId)).toEqual(spent(3n * cost));
  const calls = await Promise.all(agents.map((one) => callsOf(database.orm, one)));
  // The others are refusals, of which some are stored.
  expect(calls.flat().filter((call) => call.input_tokens > 0)).toHaveLength(3);
});
