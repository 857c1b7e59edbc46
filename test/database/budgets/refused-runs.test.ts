import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { findRunRefusal } from '../../../database/crons/find-run-refusal.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { NamedBudget } from '../../../domain/money/budgets.ts';
import { makeId, newAgent, newBudget, newTurn } from '../../factories.ts';
import type { NewAgent } from '../../factories.ts';
import { openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const T0 = Date.parse('2027-03-01T10:00:00Z');
const SECOND = 1_000;
const at = (ms: number): Date => new Date(T0 + ms);

let database: TestOrm;
let agent: NewAgent;
let gatewayAgentId: string;
let budget: { budgetId: string };

beforeAll(async () => {
  database = await openTestOrm();
  const price = { model: 'm', input: 1_000_000n, output: 0n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(database.orm.em, (em) => setTokenPrices(em, [price], new Date(0)));
});
beforeEach(async () => {
  gatewayAgentId = makeId('agt');
  agent = await newAgent(database.orm, { model: 'm', gatewayAgentId });
  budget = await newBudget(database.orm, { account: agent.accountId, period: 'total', limitNanoUsd: 1n });
  // Uses it up.
  await callAt(-SECOND, 1);
});
afterAll(() => database.close());

/** A call of the agent, without a turn or with that of this trace. */
async function callAt(ms: number, inputTokens = 0, traceId: string | null = null): Promise<void> {
  const em = database.orm.em.fork();
  const [call] = await em.execute<{ id: string | null }[]>(
    `select call_id as id from reserve_model_call(?, ?, ?, ?, 'm', 1, 1, 60000, ?)`,
    [agent.accountId, agent.instanceId, agent.agentId, traceId, at(ms)],
  );
  if (call?.id)
    await em.execute('select settle_model_call(?, ?, 0, 0, 0, 0, null, null, null, ?)', [call.id, inputTokens, at(ms)]);
}

/** What refused a run of a job of this agent that began and ended then. */
function refusalOf(fromMs: number, toMs: number, of = gatewayAgentId): Promise<NamedBudget | null> {
  const run = { gatewayJobId: 'a-job', gatewayAgentId: of, runAt: at(fromMs), saidAt: at(toMs) };
  return findRunRefusal(database.orm.em.fork(), { ...run, instanceId: agent.instanceId });
}

test('a run is refused by the budget that had no room for a call of its agent meanwhile, and by none before, after and of others', async () => {
  await callAt(60 * SECOND);
  expect(await refusalOf(50 * SECOND, 70 * SECOND)).toEqual({ ...budget, name: 'Test', period: 'total' });
  // The clock of a gateway may be two seconds behind.
  expect(await refusalOf(50 * SECOND, 58 * SECOND)).toMatchObject(budget);
  expect(await refusalOf(50 * SECOND, 57 * SECOND)).toBeNull();
  expect(await refusalOf(63 * SECOND, 70 * SECOND)).toBeNull();
  expect(await refusalOf(50 * SECOND, 70 * SECOND, 'another-agent')).toBeNull();
});

/** The refused calls that are stored: when, and of which reply. */
function stored(): Promise<{ at: string; messageId: string | null }[]> {
  return database.orm.em.fork().execute(
    `select to_char(at at time zone 'UTC', 'SS.MS') as at, message_id as "messageId" from model_calls
      where agent_id = ? and refused_by = ? order by id`,
    [agent.agentId, budget.budgetId],
  );
}

test('of calls without a turn that are refused one in a second is stored', async () => {
  for (const ms of [0, 1, 500, 999, 1_000, 1_999]) await callAt(10 * SECOND + ms);
  expect(await stored()).toEqual([
    { at: '10.000', messageId: null },
    { at: '11.000', messageId: null },
  ]);
});

test('of calls of a turn that are refused one in a second is stored, and once it has ended they are like those without a turn', async () => {
  const traceId = makeId('msg').slice(4).padEnd(32, '0');
  const { messageId } = await newTurn(database.orm, agent, { traceId });
  for (const ms of [0, 999, 1_000]) await callAt(10 * SECOND + ms, 0, traceId);
  await callAt(11 * SECOND);
  await database.orm.em.fork().execute(`update messages set status = 'failed', ended_at = now() where id = ?`, [messageId]);
  for (const ms of [500, 1_000, 1_999]) await callAt(11 * SECOND + ms, 0, traceId);
  expect(await stored()).toEqual([
    { at: '10.000', messageId },
    { at: '11.000', messageId },
    { at: '11.000', messageId: null },
    { at: '12.000', messageId: null },
  ]);
});
