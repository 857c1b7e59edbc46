import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { query, run, sql } from '../../database/sql.ts';
import { relayToken } from '../../runtime/openclaw/install/tokens.ts';
import { makeId } from '../factories.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, MASTER_KEYS, MODEL, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest } from './relay-under-test.ts';

// Its provider does not exist: whatever is sent to it fails.
const NOWHERE = 'http://127.0.0.1:9';

let database: TestOrm;
let relay: RelayUnderTest;

beforeAll(async () => {
  database = await openTestOrm();
  relay = await startRelay(database.url, NOWHERE);
});
afterAll(async () => {
  await relay.close();
  await database.close();
});

/** A spare agent of a runtime of this instance, or of the pool; its token. */
async function spare(instanceId: string | null): Promise<string> {
  const em = database.orm.em.fork();
  const [id, runtimeId] = [makeId('agt'), makeId('run')];
  if (instanceId !== null) await run(em, sql`delete from runtimes where instance_id = ${instanceId}`);
  await run(em, sql`insert into runtimes (id, instance_id) values (${runtimeId}, ${instanceId})`);
  await run(
    em,
    sql`insert into spare_agents (id, runtime_id, gateway_agent_id, model, place) values (${id}, ${runtimeId}, 'spare', ${MODEL}, 0)`,
  );
  return relayToken(MASTER_KEYS, { agentId: id, epoch: 1 });
}

const call = (path: string, headers: Record<string, string>) =>
  fetch(`${relay.url}${path}`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ model: MODEL, stream: true, max_tokens: 1, messages: [{ role: 'user', content: 'Hello' }] }),
  });

test('the throw-away turn of a spare agent is answered on both wires, without a provider, and nothing is counted', async () => {
  const token = await spare(null);
  const openAi = await call('/chat/completions', { authorization: `Bearer ${token}` });
  expect(openAi.status).toBe(200);
  expect(await openAi.text()).toMatch(/"content":"Ready"[^]*"finish_reason":"stop"[^]*data: \[DONE\]\n\n$/);
  const anthropic = await call('/messages', { 'x-api-key': token });
  expect(anthropic.status).toBe(200);
  expect(await anthropic.text()).toMatch(/event: message_start[^]*"text":"Ready"[^]*event: message_stop/);
  const counted = await query(
    database.orm.em.fork(),
    sql`select id::text from model_calls union all select id::text from open_model_calls union all select account_id from token_charges`,
  );
  expect(counted).toEqual([]);
});

test('a spare agent of an instance calls no model, and nothing is answered for it', async () => {
  const { instanceId } = await addAgent(database.orm);
  const response = await call('/chat/completions', { authorization: `Bearer ${await spare(instanceId)}` });
  expect(response.status).toBe(400);
});
