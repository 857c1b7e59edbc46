import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TurnEnd } from '../../../domain/turn.ts';
import { eventually } from '../../support/eventually.ts';
import { readStream } from '../../support/stream-reader.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { applyContent, endTurn, makeRunning, newAgent, newInstance, newTurn } from '../rows.ts';

/**
 * What holds without a gateway: every turn here is accepted, and stays until the test ends it as a gateway would.
 * test/api/live-messages.test.ts has a gateway.
 */
let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '50' } });
  account = await api.newAccount();
});

beforeEach(async () => {
  const instanceId = await newInstance(account);
  of = { instanceId, agentId: await newAgent(account, instanceId) };
  path = `/instances/${instanceId}/agents/${of.agentId}/messages`;
});

afterAll(() => api.close());

const completed = (content: string): TurnEnd => ({ status: 'completed', content, finishReason: 'stop' });
const failed: TurnEnd = { status: 'failed', reason: 'model_error', message: 'The model did not answer.' };

/** The reply that is being waited for, once it is stored. */
async function pendingReply(): Promise<string> {
  return eventually(async () => {
    const [row] = await api.sql<{ id: string }>(`select id from messages where agent_id = ? and status = 'pending'`, [
      of.agentId,
    ]);
    if (!row) throw new Error('no turn is pending');
    return row.id;
  });
}

async function send(body: object = {}) {
  return account.call('POST', path, { message: 'Hello', ...body });
}

describe('messages.send', () => {
  test('says why an agent does not answer whose model has left the catalogue', async () => {
    await makeRunning(api, of.instanceId);
    await api.sql(`update agents set model = 'gone-model' where id = ? returning id`, [of.agentId]);
    const { status, body } = await account.call('POST', path, { message: 'Hello' });
    await api.sql(`update agents set model = 'moonshotai.kimi-k2.5' where id = ? returning id`, [of.agentId]);
    expect(status).toBe(502);
    expect(body.error).toMatchObject({
      code: 'agent_error',
      reason: 'model_error',
      message: expect.stringContaining('gone-model'),
    });
    expect(body.error.message).toContain('moonshotai.kimi-k2.5');
  });

  test('answers the reply as it is stored', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send({ sessionId: 'Case', sender: { type: 'human', id: 'user-123', name: 'Jeff' } });
    const messageId = await pendingReply();
    await api.sql(
      `insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens,
                                cache_read_tokens, cache_write_tokens, thinking_tokens, upstream)
       values (?, ?, ?, ?, 'm', 10, 5, 4, 1, 2, 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/first'), (?, ?, ?, ?, 'm', 20, 7, 4, 0, 0, 'fall-back') returning id`,
      [...Array.from({ length: 2 }, () => [account.accountId, of.instanceId, of.agentId, messageId])].flat(),
    );
    await endTurn(api, messageId, completed("Here's what I found..."));
    const { status, body } = await sending;
    expect(status).toBe(200);
    expect(body).toEqual({
      messageId,
      role: 'agent',
      content: "Here's what I found...",
      sender: { type: 'agent', id: 'support-bot', name: 'Support Bot' },
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      sessionId: 'Case',
      status: 'completed',
      finishReason: 'stop',
      source: 'agent',
      jobName: null,
      error: null,
      requestMessageId: expect.stringMatching(/^msg_/),
      usage: {
        ...{ inputTokens: 30, outputTokens: 12, cacheReadTokens: 8, cacheWriteTokens: 1, thinkingTokens: 2 },
        costNanoUsd: '0',
        models: ['fall-back', 'first'],
      },
      latencyMs: expect.any(Number),
    });
    expect(await account.ok('GET', `${path}/${messageId}`)).toEqual(body);
    expect(await account.ok('GET', `${path}/${body.requestMessageId}`)).toMatchObject({
      role: 'user',
      content: 'Hello',
      sender: { type: 'human', id: 'user-123', name: 'Jeff' },
    });
  });

  test('takes the account for the sender when none is named', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    await endTurn(api, await pendingReply(), completed('Hi'));
    const { requestMessageId } = (await sending).body;
    const { sender } = await account.ok('GET', `${path}/${requestMessageId}`);
    expect(sender).toEqual({ type: 'human', id: account.accountId, name: 'Test' });
  });

  test('is 503 unless the instance runs and shall run, with the status or the transition as the reason', async () => {
    const change = (set: string) => api.sql(`update instances set ${set} where id = ? returning id`, [of.instanceId]);
    const states: [string, string][] = [
      ["status = 'provisioning', transition_kind = 'starting'", 'starting'],
      ["status = 'running', boot_id = 'b', transition_kind = 'restarting'", 'restarting'],
      ["status = 'running', boot_id = 'b', desired_status = 'stopped', transition_kind = 'stopping'", 'stopping'],
      ["status = 'stopped', boot_id = null, transition_kind = null", 'stopped'],
      ["status = 'error'", 'error'],
    ];
    await applyContent(api, of.instanceId);
    for (const [set, reason] of states) {
      await change(set);
      const { status, body, headers } = await send();
      expect([status, body.error.code, body.error.reason]).toEqual([503, 'instance_not_ready', reason]);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(await account.ok('GET', path)).toEqual({ messages: [], nextCursor: null });
  });

  test('waits for an agent that the running instance does not have yet', async () => {
    await makeRunning(api, of.instanceId);
    await api.sql(`update agents set status = 'pending' where id = ? returning id`, [of.agentId]);
    const sending = send();
    expect(await account.ok('GET', path)).toEqual({ messages: [], nextCursor: null });
    await applyContent(api, of.instanceId);
    await endTurn(api, await pendingReply(), completed('Hi'));
    expect((await sending).status).toBe(200);
  });

  test('is 503 when the agent stays pending for ten seconds', async () => {
    await makeRunning(api, of.instanceId);
    await api.sql(`update agents set status = 'pending' where id = ? returning id`, [of.agentId]);
    const { status, body } = await send();
    expect([status, body.error.code, body.error.reason]).toEqual([503, 'instance_not_ready', 'pending']);
  });

  test('refuses nothing said, too much said, and a wrong session or patience', async () => {
    await makeRunning(api, of.instanceId);
    const wrong = [
      { message: '' },
      { message: ' \n' },
      { message: 'ü'.repeat(128 * 1024 + 1) },
      { sessionId: '' },
      { sessionId: 'x'.repeat(129) },
      { timeoutMs: 0 },
      { timeoutMs: 1.5 },
    ];
    for (const body of wrong) expect((await send(body)).status).toBe(400);
    const sending = send({ message: 'ü'.repeat(128 * 1024), sessionId: 'x'.repeat(128), timeoutMs: 999_999 });
    await endTurn(api, await pendingReply(), completed('Hi'));
    expect((await sending).status).toBe(200);
  });

  test('is 504 with the message when the time is up, and the turn goes on', async () => {
    await makeRunning(api, of.instanceId);
    const { status, body } = await send({ timeoutMs: 50 });
    expect([status, body.error.code, body.error.retryable]).toEqual([504, 'timeout', false]);
    const { messageId } = body.error;
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'pending', content: '' });
    await endTurn(api, messageId, completed('Late'));
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'completed', content: 'Late' });
  });

  test('is not cancelled by a client that goes away', async () => {
    await makeRunning(api, of.instanceId);
    const gone = new AbortController();
    const sending = account.call('POST', path, { message: 'Hello' }, { signal: gone.signal }).catch(() => 'gone');
    const messageId = await pendingReply();
    gone.abort();
    expect(await sending).toBe('gone');
    await endTurn(api, messageId, completed('Still here'));
    expect((await account.ok('GET', path)).messages.at(-1)).toMatchObject({ messageId, content: 'Still here' });
  });

  test('is 502 when the turn fails, with the reason and the message', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    const messageId = await pendingReply();
    await endTurn(api, messageId, failed);
    const { status, body } = await sending;
    expect([status, body.error]).toEqual([
      502,
      expect.objectContaining({ code: 'agent_error', reason: 'model_error', messageId }),
    ]);
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({
      status: 'failed',
      error: { code: 'model_error', message: 'The model did not answer.' },
    });
  });

  test('is 404 when the agent is deleted meanwhile', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    const messageId = await pendingReply();
    const deleting = account.call('DELETE', path.replace('/messages', ''));
    const { status, body } = await sending;
    expect([status, body.error.messageId]).toEqual([404, messageId]);
    await applyContent(api, of.instanceId);
    expect((await deleting).status).toBe(200);
  });

  test('is 503 when the instance is deleted meanwhile', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    const messageId = await pendingReply();
    await account.ok('DELETE', `/instances/${of.instanceId}`);
    await api.sql('delete from messages where instance_id = ? returning id', [of.instanceId]);
    const { status, body } = await sending;
    expect([status, body.error]).toEqual([
      503,
      expect.objectContaining({ code: 'instance_not_ready', messageId, retryable: false }),
    ]);
  });

  test('lets 32 wait in one conversation, then answers 429; another conversation is free', async () => {
    await makeRunning(api, of.instanceId);
    for (let turns = 0; turns < 33; turns += 1) await newTurn(api, of);
    const { status, body, headers } = await send();
    expect([status, body.error.code]).toEqual([429, 'rate_limited']);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await send({ sessionId: 'other', timeoutMs: 1 })).status).toBe(504);
  });

  test('streams chunks with the role first and the finish last, stored before [DONE]', async () => {
    await makeRunning(api, of.instanceId);
    const streaming = account.raw('POST', path, { message: 'Hello', stream: true });
    const messageId = await pendingReply();
    await endTurn(api, messageId, completed('One two'));
    const response = await streaming;
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const { chunks, text, isDone } = await readStream(response);
    expect([text, isDone]).toEqual(['One two', true]);
    expect(chunks.every(({ id, model }) => id === messageId && model === 'moonshotai.kimi-k2.5')).toBe(true);
    const choices = chunks.map((chunk) => chunk.choices[0]);
    expect(choices[0]?.delta.role).toBe('assistant');
    expect(choices.map((choice) => choice?.finish_reason)).toEqual([...choices.slice(1).map(() => null), 'stop']);
    expect((await account.ok('GET', path)).messages.at(-1)).toMatchObject({ messageId, status: 'completed' });
  });

  test('says that a reply reached the token limit in the answer, the history, the stream and the event', async () => {
    await makeRunning(api, of.instanceId);
    const short: TurnEnd = { status: 'completed', content: 'Half of', finishReason: 'length' };
    const sending = send();
    const messageId = await pendingReply();
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'pending', finishReason: null });
    await endTurn(api, messageId, short);

    expect((await sending).body).toMatchObject({ messageId, content: 'Half of', finishReason: 'length' });
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ finishReason: 'length' });
    expect((await account.ok('GET', path)).messages.at(-1)).toMatchObject({ messageId, finishReason: 'length' });
    const { events } = await account.ok('GET', `/instances/${of.instanceId}/events`);
    expect(events).toMatchObject([{ messageId, eventType: 'agent.message', finishReason: 'length' }]);

    const streaming = account.raw('POST', path, { message: 'Hello', stream: true });
    await endTurn(api, await pendingReply(), short);
    const { chunks, text } = await readStream(await streaming);
    expect([text, chunks.at(-1)?.choices[0]?.finish_reason]).toEqual(['Half of', 'length']);
  });

  test('shows no finish reason of a turn that failed, nor of a reply from before it was recorded', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    const messageId = await pendingReply();
    await endTurn(api, messageId, failed);
    await sending;
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'failed', finishReason: null });
    await api.sql(`update messages set status = 'completed', content = 'Old' where id = ? returning id`, [messageId]);
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ content: 'Old', finishReason: null });
  });

  test('answers plain JSON for what fails before the first byte of a stream', async () => {
    await makeRunning(api, of.instanceId);
    const streaming = account.raw('POST', path, { message: 'Hello', stream: true });
    await endTurn(api, await pendingReply(), failed);
    const response = await streaming;
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'agent_error', reason: 'model_error' } });
  });
});

describe('messages.list', () => {
  async function say(number: number, sessionId = ''): Promise<void> {
    api.advance(1_000);
    const { messageId } = await newTurn(api, of, { text: `question ${number}`, sessionId });
    api.advance(1_000);
    await endTurn(api, messageId, completed(`answer ${number}`));
  }

  test('shows both sides in time order, the latest of them, page by page back', async () => {
    await makeRunning(api, of.instanceId);
    for (const number of [1, 2, 3]) await say(number);
    const contents = (page: { messages: { content: string }[] }) => page.messages.map(({ content }) => content);
    const last = await account.ok('GET', `${path}?limit=3`);
    expect(contents(last)).toEqual(['answer 2', 'question 3', 'answer 3']);
    const first = await account.ok('GET', `${path}?limit=3&cursor=${last.nextCursor}`);
    expect(contents(first)).toEqual(['question 1', 'answer 1', 'question 2']);
    expect(first.nextCursor).toBeNull();
    const all = await account.ok('GET', path);
    const times = all.messages.map(({ timestamp }: { timestamp: string }) => timestamp);
    expect(times).toEqual(times.toSorted());
  });

  test('shows a turn that has not ended as its pending reply, and one session alone when asked to', async () => {
    await makeRunning(api, of.instanceId);
    await say(1, 'First');
    await say(2, 'first');
    await newTurn(api, of, { text: 'open', sessionId: 'first' });
    const { messages } = await account.ok('GET', `${path}?sessionId=first`);
    expect(messages.map(({ content, status }: { content: string; status?: string }) => [content, status])).toEqual([
      ['question 2', undefined],
      ['answer 2', 'completed'],
      ['open', undefined],
      ['', 'pending'],
    ]);
    expect((await account.ok('GET', `${path}?sessionId=none`)).messages).toEqual([]);
    expect((await account.ok('GET', path)).messages).toHaveLength(6);
  });
});

describe('messages.get', () => {
  test('is 404 below another agent of the same instance', async () => {
    await makeRunning(api, of.instanceId);
    const { messageId } = await newTurn(api, of);
    await api.sql(`update instances set status = 'stopped', desired_status = 'stopped' where id = ? returning id`, [
      of.instanceId,
    ]);
    const other = await newAgent(account, of.instanceId, 'other');
    expect((await account.call('GET', `${path}/${messageId}`)).status).toBe(200);
    expect((await account.call('GET', `${path.replace(of.agentId, other)}/${messageId}`)).status).toBe(404);
  });
});

describe('messages.cancel', () => {
  test('ends the turn with its event; whoever waits gets 502 cancelled; a second cancel is 409', async () => {
    await makeRunning(api, of.instanceId);
    const sending = send();
    const messageId = await pendingReply();
    const { status, body } = await account.call('POST', `${path}/${messageId}/cancel`);
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ messageId, status: 'cancelled', error: expect.objectContaining({ code: 'cancelled' }) }),
    ]);
    expect(await sending).toMatchObject({
      status: 502,
      body: { error: { code: 'agent_error', reason: 'cancelled', messageId } },
    });
    const again = await account.call('POST', `${path}/${messageId}/cancel`);
    expect([again.status, again.body.error.messageId]).toEqual([409, messageId]);
    const events = await api.sql('select type, error_code from events where message_id = ?', [messageId]);
    expect(events).toEqual([{ type: 'agent.error', error_code: 'cancelled' }]);
  });

  test('marks a turn that was sent, so that the gateway is told, and takes the id of the question too', async () => {
    await makeRunning(api, of.instanceId);
    const { messageId, requestMessageId } = await newTurn(api, of);
    await api.sql('update messages set attempt = 1 where id = ? returning id', [messageId]);
    expect((await account.call('POST', `${path}/${requestMessageId}/cancel`)).body.messageId).toBe(messageId);
    const [row] = await api.sql('select abort_due from messages where id = ?', [messageId]);
    expect(row).toEqual({ abort_due: true });
  });
});
