import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { settleLeftCalls } from '../../database/billing/settle-left-calls.ts';
import { newInstance, newTurn } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import { addAgent, ask, callsOf, estimateOf, openCallsOf, readerOf, readUntil, startRelay } from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

/** Of the model of these tests. */
const MAX_TOKENS = 1_024;
/** So long a slow machine may take to send a request. */
const SENT_BY_THEN_MS = 4_000;

let database: TestOrm;
let model: FakeModel;
let relay: RelayUnderTest;

beforeAll(async () => {
  database = await openTestOrm();
  model = await startFakeModel();
  relay = await startRelay(database.url, model.url);
});

afterAll(async () => {
  await relay.close();
  await model.close();
  await database.close();
});

const counted = (agent: TestAgent, calls: object[]) =>
  eventually(async () => {
    expect(await callsOf(database.orm, agent)).toMatchObject(calls);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });

test('what a call may use is reserved before it goes out, and what it used takes its place', async () => {
  const agent = await addAgent(database.orm);
  const traceId = randomBytes(16).toString('hex');
  const { messageId } = await newTurn(database.orm, agent, { traceId });
  const request = { text: '[[WORDS 3]] [[HOLD reserved 0]]' };
  const answer = ask(relay, { ...request, token: agent.token, traceId });
  await model.waitForCall(({ lastUserText }) => lastUserText === request.text);
  expect(await openCallsOf(database.orm, agent)).toEqual([
    { trace_id: traceId, input_tokens: estimateOf(request), output_tokens: MAX_TOKENS },
  ]);
  expect(await callsOf(database.orm, agent)).toEqual([]);
  model.release('reserved');
  await (await answer).text();
  await counted(agent, [{ message_id: messageId, input_tokens: 5, output_tokens: 3, finish_reason: 'stop' }]);
});

test.each([
  ['what had come by then', { max_tokens: 500 }, 4],
  ['what was promised, when more than that has come', { max_tokens: 2 }, 2],
])('a caller that leaves in the middle of an answer is counted its request and %s', async (_, fields, output) => {
  const agent = await addAgent(database.orm);
  const request = { text: '[[SAY twelve bytes]] [[HOLD for-ever 9]]', fields };
  const leave = new AbortController();
  const reader = readerOf(await ask(relay, { ...request, token: agent.token, signal: leave.signal }));
  await readUntil(reader, 'bytes');
  leave.abort();
  await counted(agent, [{ input_tokens: estimateOf(request), output_tokens: output, finish_reason: null }]);
});

test('a caller that leaves before the answer has begun is counted its request', async () => {
  const agent = await addAgent(database.orm);
  const leave = new AbortController();
  const upstream = await startScriptedUpstream(() => leave.abort());
  const through = await startRelay(database.url, upstream.url);
  await expect(ask(through, { token: agent.token, signal: leave.signal })).rejects.toThrow();
  await counted(agent, [{ input_tokens: estimateOf({}), output_tokens: 0 }]);
  await through.close();
  await upstream.close();
});

test.each([
  ['takes too long to begin', { limits: { thinkingMs: SENT_BY_THEN_MS, silenceMs: 60_000 } }, 400, Infinity],
  ['is under way for too long', { callMs: SENT_BY_THEN_MS }, 504, Infinity],
  [
    'took too long once, and then refuses',
    { limits: { thinkingMs: SENT_BY_THEN_MS, silenceMs: 60_000 }, budgetMs: 60_000 },
    422,
    1,
  ],
])('a call whose provider %s is counted all that was promised: it may go on there', async (_, options, status, silentCalls) => {
  const agent = await addAgent(database.orm);
  let calls = 0;
  const upstream = await startScriptedUpstream((request, response) => {
    calls += 1;
    if (calls > silentCalls) request.resume().once('end', () => response.writeHead(422).end());
  });
  const through = await startRelay(database.url, upstream.url, options);
  const fields = { max_tokens: 77 };
  expect((await ask(through, { token: agent.token, fields })).status).toBe(status);
  await counted(agent, [{ input_tokens: estimateOf({ fields }), output_tokens: 77, finish_reason: null }]);
  await through.close();
  await upstream.close();
});

test('of a call whose provider cannot be reached or breaks off before its answer nothing is kept', async () => {
  const upstream = await startScriptedUpstream((request) => request.resume().once('end', () => request.socket.destroy()));
  const through = await startRelay(database.url, upstream.url);
  const agent = await addAgent(database.orm);
  expect((await ask(through, { token: agent.token })).status).toBe(400);
  await upstream.close();
  expect((await ask(through, { token: agent.token })).status).toBe(400);
  await counted(agent, []);
  await through.close();
});

test('of a call that the provider refuses nothing is kept', async () => {
  const agent = await addAgent(database.orm);
  expect((await ask(relay, { token: agent.token, text: '[[FAIL 500]]' })).status).toBe(400);
  await counted(agent, []);
});

test('a call that cannot be reserved does not go out: 503', async () => {
  const agent = await addAgent(database.orm);
  const text = `never sent ${randomBytes(6).toString('hex')}`;
  const locker = new Client({ connectionString: database.url });
  await locker.connect();
  await locker.query('begin; lock table open_model_calls in exclusive mode');
  const response = await ask(relay, { token: agent.token, text });
  expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  await locker.end();
  expect(model.calls.filter(({ lastUserText }) => lastUserText === text)).toEqual([]);
});

test('a call whose relay has died is counted as reserved, once, however many sweeps look at the same time', async () => {
  const agent = await addAgent(database.orm);
  const traceId = randomBytes(16).toString('hex');
  const { messageId } = await newTurn(database.orm, agent, { traceId });
  const left = (expiresAt: string, tokens: number) =>
    database.orm.em.fork().execute(
      `insert into open_model_calls (account_id, instance_id, agent_id, trace_id, model, input_tokens, output_tokens, expires_at)
       values (?, ?, ?, ?, 'public-model', ?, 1024, now() + ?::interval)`,
      [agent.accountId, agent.instanceId, agent.agentId, traceId, tokens, expiresAt],
    );
  for (const tokens of [1, 2, 3]) await left('-1 second', tokens);
  await left('1 hour', 4);
  const sweeps = await Promise.all([1, 2, 3].map((limit) => settleLeftCalls(database.orm.em.fork(), { limit, now: null })));
  for (const [index, count] of sweeps.entries()) expect(count).toBeLessThanOrEqual(index + 1);
  while ((await settleLeftCalls(database.orm.em.fork(), { limit: 1, now: null })) > 0);
  const calls = await callsOf(database.orm, agent);
  expect(calls.map(({ input_tokens: tokens }) => tokens).toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  expect(calls).toMatchObject([1, 2, 3].map(() => ({ message_id: messageId, output_tokens: 1024, finish_reason: null })));
  expect(await openCallsOf(database.orm, agent)).toMatchObject([{ input_tokens: 4 }]);
});

test('of an account without money no call goes out: 400', async () => {
  const poor = await addAgent(database.orm, { instance: await newInstance(database.orm) });
  const response = await ask(relay, { token: poor.token });
  expect([response.status, await response.text()]).toEqual([
    400,
    expect.stringContaining('The balance of the account is used up'),
  ]);
  await counted(poor, []);
});

test('calls whose answers have begun hold no room for bodies: an account may have many long conversations', async () => {
  const agent = await addAgent(database.orm);
  const upstream = await startScriptedUpstream((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n');
  });
  const through = await startRelay(database.url, upstream.url);
  // Two of the largest are all that an account may have in the room.
  const fields = { messages: [{ role: 'user', content: 'x'.repeat(8 * 1024 ** 2 - 1_024) }] };
  const answers: Response[] = [];
  for (let count = 0; count < 4; count += 1) answers.push(await ask(through, { token: agent.token, fields }));
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  for (const answer of answers) await answer.body?.cancel();
  await through.close();
  await upstream.close();
});
