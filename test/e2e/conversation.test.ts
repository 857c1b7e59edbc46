import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { Answer, ApiClient } from '../support/api-client.ts';
import { eventually } from '../support/eventually.ts';
import { insist, openStream, say, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { readStream } from '../support/stream-reader.ts';

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

let stack: StackUnderTest;
let account: ApiClient & { accountId: string };
let instanceId: string;
let agentId: string;
let created: Answer;

beforeAll(async () => {
  stack = await startStack();
  account = await stack.newAccount();
  created = await account.call('POST', '/instances', { name: 'my-agents' });
  instanceId = created.body.instanceId;
});
// Whatever became of its gateway in the test before.
beforeEach(() => untilStatus(account, instanceId, 'running'));
afterAll(() => stack?.close());

test('an instance is created at once and becomes running, with its meter open', async () => {
  expect(created.status).toBe(201);
  expect(created.body).toMatchObject({ name: 'my-agents', status: 'provisioning', agents: [] });
  expect(created.headers.get('location')).toBe(`/v1/instances/${instanceId}`);

  await eventually(async () => {
    expect(await account.ok('GET', `/instances/${instanceId}/wait?status=running`)).toMatchObject({
      status: 'running',
      transition: null,
      statusReason: null,
      startedAt: expect.stringMatching(TIME),
    });
  });
  await eventually(async () => {
    const { totalRuntimeMs, billedMs } = await account.ok('GET', `/instances/${instanceId}`);
    expect(totalRuntimeMs).toBeGreaterThan(0);
    expect(billedMs).toBeLessThanOrEqual(totalRuntimeMs);
  });
});

test('an agent of a running instance becomes active', async () => {
  const answer = await account.call('POST', `/instances/${instanceId}/agents`, {
    name: 'Support',
    slug: 'support-bot',
    displayName: 'Support Bot',
    files: { 'SOUL.md': 'You are the soul of this test.' },
  });
  agentId = answer.body.agentId;
  expect(answer).toMatchObject({ status: 201, body: { slug: 'support-bot', displayName: 'Support Bot' } });
  await eventually(async () => {
    expect(await account.ok('GET', `/instances/${instanceId}/agents/${agentId}`)).toMatchObject({ status: 'active' });
  });
});

test('a message is answered as JSON, with the usage that the relay counted', async () => {
  const reply = await say(account, `/instances/${instanceId}/agents/${agentId}/messages`, {
    message: 'hello there',
    sender: { type: 'human', id: 'user-123', name: 'Jeff' },
    stream: false,
  });
  expect(reply).toMatchObject({
    content: 'You said: hello there',
    sender: { type: 'agent', id: 'support-bot', name: 'Support Bot' },
    timestamp: expect.stringMatching(TIME),
    usage: { inputTokens: expect.any(Number), outputTokens: expect.any(Number) },
  });
  expect(reply.usage.outputTokens).toBeGreaterThan(0);
});

test('the workspace files are in the prompt', async () => {
  const reply = await say(account, `/instances/${instanceId}/agents/${agentId}/messages`, { message: '[[SYSTEM]]' });
  expect(reply.content).toContain('You are the soul of this test.');
});

test('a streamed message is chunks of a chat completion, role first, finish reason last', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const response = await openStream(account, path, { message: '[[WORDS 20]]' });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const { chunks, text, isDone } = await readStream(response);
  expect(text).toBe(Array.from({ length: 20 }, (_, index) => `w${index + 1}`).join(' '));
  expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant');
  expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([expect.stringMatching(/^msg_/)]));
  expect(isDone).toBe(true);
});

test('the first token leaves before the model has finished', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const response = await openStream(account, path, { message: '[[WORDS 5]] [[HOLD stream 2]]' });
  const read = await readStream(response, (text) => {
    if (text.includes('w1')) stack.model.release('stream');
  });
  expect(read.text).toBe('w1 w2 w3 w4 w5');
});

test('a client that goes away does not cancel its turn', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const leave = new AbortController();
  const left = account.raw('POST', path, { message: 'I leave [[HOLD left]]', stream: true }, leave.signal);
  left.catch(() => undefined);
  await stack.model.waitForCall((call) => call.lastUserText.includes('I leave'));
  leave.abort();
  stack.model.release('left');
  await eventually(async () => {
    const { messages } = await account.ok('GET', `${path}?limit=1`);
    expect(messages[0]).toMatchObject({ status: 'completed', content: 'You said: I leave [[HOLD left]]' });
  });
});

test('messages of one conversation are answered in their order, each once', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const texts = ['one', 'two', 'three', 'four'];
  const pending: Promise<{ content: string }>[] = [];
  for (const text of texts) {
    pending.push(say(account, path, { message: `fifo ${text}`, sessionId: 'fifo' }));
    await eventually(async () => {
      const { messages } = await account.ok('GET', `${path}?sessionId=fifo`);
      expect(messages.filter((message: { content: string }) => message.content === `fifo ${text}`)).toHaveLength(1);
    });
  }
  const replies = await Promise.all(pending);
  expect(replies.map(({ content }) => content)).toEqual(texts.map((text) => `You said: fifo ${text}`));
  const answered = stack.model.calls.filter(({ lastUserText, finished }) => finished && lastUserText.startsWith('fifo '));
  expect(answered.map(({ lastUserText }) => lastUserText)).toEqual(texts.map((text) => `fifo ${text}`));
});

test('a failed turn is 502 with its reason, and the agent answers the next message', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const failed = await insist(account, { method: 'POST', path, body: { message: '[[FAIL 400]]' }, key: 'failed' });
  expect(failed).toMatchObject({
    status: 502,
    body: { error: { code: 'agent_error', reason: 'model_error', messageId: expect.stringMatching(/^msg_/) } },
  });
  expect(await say(account, path, { message: 'still there?' })).toMatchObject({ content: 'You said: still there?' });
});

test('an answer that the provider filtered is a model error which says so, and a reply that reached the token limit says that', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const message = '[[SAY Some text]] [[FINISH content_filter]]';
  const filtered = await insist(account, { method: 'POST', path, body: { message }, key: 'filtered' });
  expect(filtered).toMatchObject({
    status: 502,
    body: {
      error: {
        reason: 'model_error',
        message: 'The model provider filtered the reply. Change the message before you send it again.',
      },
    },
  });
  const short = await say(account, path, { message: '[[SAY Half of it]] [[FINISH length]]', sessionId: 'short' });
  expect(short).toMatchObject({ content: 'Half of it', finishReason: 'length' });
});

test('a turn whose next model call a budget has no room for ends as budget_reached, and the next message is 402', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const { model } = await account.ok('GET', `/instances/${instanceId}/agents/${agentId}`);
  const budget = { name: 'one call', scope: { sessionId: '*' }, period: 'total', limitUsd: '0.000001' };
  const { budgetId } = await account.ok('POST', '/budgets', budget);
  // So many short words that the first call takes more tokens than the turn has reserved for it.
  const message = `[[TOOL exec {"command":"echo found"}]] ${'a '.repeat(200)}`;
  await withInputPrice(model, async () => {
    const ended = await insist(account, { method: 'POST', path, body: { message, sessionId: 'capped' }, key: 'capped' });
    expect(ended).toMatchObject({ status: 502, body: { error: { code: 'agent_error', reason: 'budget_reached' } } });
    expect(ended.body.error.message).toContain(`"one call" (${budgetId})`);
    const { events } = await account.ok('GET', `/instances/${instanceId}/events?limit=1`);
    expect(events).toMatchObject([{ eventType: 'agent.error', error: { code: 'budget_reached' } }]);
    const next = await account.call('POST', path, { message: 'more', sessionId: 'capped' });
    expect(next).toMatchObject({ status: 402, body: { error: { code: 'payment_required', reason: 'budget_reached' } } });
    const { keys } = await account.ok('GET', `/budgets/${budgetId}/spend`);
    const { usage } = await account.ok('GET', `${path}/${ended.body.error.messageId}`);
    expect(keys).toEqual([{ key: 'capped', spentNanoUsd: usage.costNanoUsd }]);
  });
});

test('a run of a scheduled job that a budget has no room for ends as budget_reached, by its name', async () => {
  const agent = `/instances/${instanceId}/agents/${agentId}`;
  const { model } = await account.ok('GET', agent);
  const schedule = { kind: 'every', everyMs: 3_600_000 };
  const { cronId } = await account.ok('POST', `${agent}/crons`, { name: 'Capped job', schedule, message: '[[SAY Too dear.]]' });
  const budget = { name: 'jobs', scope: { agentId }, period: 'total', limitUsd: '0.000001' };
  await withInputPrice(model, async () => {
    const { budgetId } = await account.ok('POST', '/budgets', budget);
    await say(account, `${agent}/messages`, { message: 'one '.repeat(100), sessionId: 'spends' });
    await account.ok('POST', `${agent}/crons/${cronId}/run`);
    await eventually(async () => {
      const { events } = await account.ok('GET', `/instances/${instanceId}/events?limit=1`);
      const message = expect.stringMatching(new RegExp(`"jobs" \\(${budgetId}\\) is used up.* The job runs again`));
      expect(events).toMatchObject([{ eventType: 'agent.error', source: 'cron', error: { code: 'budget_reached', message } }]);
    });
    expect(stack.model.calls.filter(({ lastUserText }) => lastUserText.includes('Too dear'))).toEqual([]);
    await account.ok('DELETE', `/budgets/${budgetId}`);
  });
  await account.ok('DELETE', `${agent}/crons/${cronId}`);
});

/** Meanwhile each million tokens that this model reads costs a dollar. */
async function withInputPrice(model: string, work: () => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: stack.databaseUrl });
  await client.connect();
  try {
    await client.query('insert into model_prices values ($1, now(), 1000000000, 0, 0, 0)', [model]);
    await work();
  } finally {
    await client.query('delete from model_prices');
    await client.end();
  }
}

test('a sync call that takes too long is 504, and its turn lands in the history', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  const late = await account.call('POST', path, { message: 'late [[HOLD late]]', timeoutMs: 1_000 });
  expect(late).toMatchObject({ status: 504, body: { error: { code: 'timeout' } } });
  const { messageId } = late.body.error;
  expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'pending', content: '' });
  stack.model.release('late');
  await eventually(async () => {
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({
      status: 'completed',
      content: 'You said: late [[HOLD late]]',
    });
  });
});

test('a cancelled turn ends at once, everywhere', async () => {
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  // In a conversation of its own: a gateway shows the model what was never answered together with the next message.
  const body = { message: 'cancel me [[HOLD never]]', sessionId: 'cancel' };
  const waiting = insist(account, { method: 'POST', path, body, key: 'cancelled' });
  const call = await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('cancel me'));
  const { messages } = await account.ok('GET', `${path}?limit=1&sessionId=cancel`);
  const { messageId } = messages[0];
  expect(await account.call('POST', `${path}/${messageId}/cancel`)).toMatchObject({ status: 200 });
  expect(await waiting).toMatchObject({ status: 502, body: { error: { code: 'agent_error', reason: 'cancelled' } } });
  await eventually(() => expect(call.aborted).toBe(true));
  expect(await account.call('POST', `${path}/${messageId}/cancel`)).toMatchObject({ status: 409 });
});

test('stop drains, ends the meter and keeps the data; start brings back the memory', async () => {
  const stopped = await account.call('POST', `/instances/${instanceId}/stop`);
  expect(stopped).toMatchObject({ status: 200, body: { instanceId, status: 'stopped' } });
  await untilStatus(account, instanceId, 'stopped');
  const path = `/instances/${instanceId}/agents/${agentId}/messages`;
  expect(await account.call('POST', path, { message: 'hello' })).toMatchObject({
    status: 503,
    body: { error: { code: 'instance_not_ready', reason: 'stopped' } },
  });
  const { totalRuntimeMs } = await account.ok('GET', `/instances/${instanceId}`);
  await account.ok('POST', `/instances/${instanceId}/start`);
  await untilStatus(account, instanceId, 'running');
  expect((await account.ok('GET', `/instances/${instanceId}`)).totalRuntimeMs).toBeGreaterThanOrEqual(totalRuntimeMs);
  const reply = await say(account, path, { message: '[[HISTORY]]' });
  expect(Number(reply.content)).toBeGreaterThan(10);
});

test('delete works at once and leaves nothing', async () => {
  expect(await account.call('DELETE', `/instances/${instanceId}`)).toMatchObject({
    status: 200,
    body: { instanceId, status: 'destroying' },
  });
  await eventually(async () => expect(await account.call('GET', `/instances/${instanceId}`)).toMatchObject({ status: 404 }));
  await eventually(async () => expect(await stack.driver.list()).toEqual([]));
});
