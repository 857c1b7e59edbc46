import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { offeredModel } from '../support/offered-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, MODEL, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';

let database: TestOrm;
let agent: TestAgent;
let relay: RelayUnderTest;

beforeAll(async () => {
  database = await openTestOrm();
  agent = await addAgent(database.orm);
  relay = await startRelay(database.url, undefined, {
    models: {
      [MODEL]: offeredModel({ upstream: 'm' }),
      own: offeredModel({ upstream: 'm', accounts: [agent.accountId] }),
      other: offeredModel({ upstream: 'm', accounts: ['acc_other'] }),
    },
  });
});
afterAll(async () => {
  await relay.close();
  await database.close();
});

test('the list of models needs a token', async () => {
  expect((await fetch(`${relay.url}/models`)).status).toBe(401);
});

test('an agent sees the models of its account, and none that is offered to other accounts alone', async () => {
  const response = await fetch(`${relay.url}/models`, { headers: { authorization: `Bearer ${agent.token}` } });
  expect(await response.json()).toMatchObject({ data: [{ id: MODEL, object: 'model' }, { id: 'own' }] });
});

test('a body that is not JSON or no request gets 400', async () => {
  for (const body of ['{', '[]', '{"model":"m"}']) {
    const headers = { authorization: `Bearer ${agent.token}` };
    const response = await fetch(`${relay.url}/chat/completions`, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
  }
});

test('any other address gets 404', async () => {
  expect((await fetch(`${relay.url}/embeddings`, { method: 'POST' })).status).toBe(404);
});
