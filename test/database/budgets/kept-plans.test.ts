import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { setTokenPrices } from '../../../database/billing/set-token-prices.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { newAgent, newBudget } from '../../factories.ts';
import type { NewAgent } from '../../factories.ts';
import { eventually } from '../../support/eventually.ts';
import { asRole, openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

let database: TestOrm;
let connection: Client;

beforeAll(async () => {
  database = await openTestOrm();
  connection = new Client({ connectionString: asRole(database.url, 'relay') });
  await connection.connect();
});
afterAll(async () => {
  await connection.end();
  await database.close();
});

test('what a model call reserves and settles in budgets is planned once for each connection', async () => {
  const price = { model: 'm', input: 1_000_000n, output: 1_000_000n, cacheRead: 0n, cacheWrite: 0n };
  await runTransaction(database.orm.em, (em) => setTokenPrices(em, [price], new Date(0)));
  const agent = await newAgent(database.orm, { model: 'm' });
  for (const scope of [{}, { agentId: '*' }]) await newBudget(database.orm, { account: agent.accountId, ...scope });
  const planned: (string | undefined)[] = [];
  connection.on('notice', ({ where }) => planned.push(where));
  await connection.query('set debug_print_plan = on; set client_min_messages = log');
  // PostgreSQL tries five plans for the values at hand before it may keep one, and plans again what it has gathered statistics for.
  await eventually(async () => {
    planned.length = 0;
    await callModel(agent);
    expect(planned).toEqual([]);
  });
});

async function callModel({ accountId, instanceId, agentId }: NewAgent): Promise<void> {
  const { rows } = await connection.query({
    name: 'reserve',
    text: `select call_id as id from reserve_model_call($1, $2, $3, null, 'm', 100, 100, 60000, null)`,
    values: [accountId, instanceId, agentId],
  });
  const text = 'select settle_model_call($1, 1, 1, 0, 0, 0, null, null, null, null)';
  await connection.query({ name: 'settle', text, values: [rows[0].id] });
}
