import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TurnEnd } from '../../../domain/turn.ts';
import { eventually } from '../../support/eventually.ts';
import { contentOf, framesOf } from '../../support/stream-reader.ts';
import type { Frame } from '../../support/stream-reader.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, newAgent, newInstance, newRunningAgent, newTurn } from '../rows.ts';

/** Without a gateway: every turn ends as the test says. test/turns/resumed-streams.test.ts has two processes and a gateway. */
let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '50' } });
  account = await api.newAccount();
});
beforeEach(async () => {
  of = await newRunningAgent(api, account);
  path = `/instances/${of.instanceId}/agents/${of.agentId}/messages`;
});
afterAll(() => api.close());

const REPLY = 'One 😀 two.\n\n  Three 👩‍👩‍👧 four. ';
const completed = (content = REPLY): TurnEnd => ({ status: 'completed', content, finishReason: 'stop' });

const open = (messageId: string, { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {}) =>
  fetch(`${api.url}/v1${path}/${messageId}/stream${query}`, {
    headers: { authorization: `Bearer ${account.token}`, ...headers },
  });

async function read(response: Response): Promise<Frame[]> {
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  const frames: Frame[] = [];
  for await (const frame of framesOf(response)) frames.push(frame);
  return frames;
}

describe('messages.stream', () => {
  test('every frame of a streamed message has an id, and the stream goes on after each of them', async () => {
    const streaming = account.raw('POST', path, { message: 'Hello', stream: true });
    const messageId = await eventually(async () => (await account.ok('GET', path)).messages.at(-1).messageId);
    await endTurn(api, messageId, completed());
    const frames = await read(await streaming);
    expect(new Set(frames.map(({ id }) => id)).size).toBe(frames.length);
    expect(contentOf(frames)).toBe(REPLY);

    for (const [index, { id = '' }] of frames.entries()) {
      const before = contentOf(frames.slice(0, index + 1));
      const byHeader = await read(await open(messageId, { headers: { 'last-event-id': id } }));
      const byQuery = await read(await open(messageId, { query: `?after=${id}` }));
      expect(byQuery).toEqual(byHeader);
      expect([before + contentOf(byQuery), byQuery.at(-1)?.data]).toEqual([REPLY, '[DONE]']);
      // What a client has, the role and the finish reason too, is not sent again.
      expect(byQuery.some(({ data }) => frames.slice(0, index + 1).some((one) => one.data === data && data !== '[DONE]'))).toBe(
        false,
      );
    }
  });

  test('begins at the start without an id: a reply that has ended comes whole, by the id of its question too', async () => {
    const { messageId, requestMessageId } = await newTurn(api, of);
    await endTurn(api, messageId, completed());
    const frames = await read(await open(messageId));
    expect(frames.map(({ data }) => (data === '[DONE]' ? data : JSON.parse(data).choices[0]))).toEqual([
      { index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null },
      { index: 0, delta: { content: REPLY }, finish_reason: null },
      { index: 0, delta: {}, finish_reason: 'stop' },
      '[DONE]',
    ]);
    expect(await read(await open(requestMessageId))).toEqual(frames);
  });

  test('opens at once though the agent says nothing yet, and ends when the reply is stored', async () => {
    const { messageId } = await newTurn(api, of);
    const response = await open(messageId);
    const reading = read(response);
    await endTurn(api, messageId, completed());
    expect(contentOf(await reading)).toBe(REPLY);
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'completed', content: REPLY });
  });

  test('a reply that failed or was cancelled is 502, and an error frame with the last id where the stream had begun', async () => {
    const ends: [TurnEnd, string][] = [
      [{ status: 'failed', reason: 'model_error', message: 'The model did not answer.' }, 'model_error'],
      [{ status: 'cancelled', message: 'The turn was cancelled.' }, 'cancelled'],
    ];
    for (const [end, reason] of ends) {
      const { messageId } = await newTurn(api, of);
      const response = await open(messageId);
      await endTurn(api, messageId, end);
      const [failure, ...rest] = await read(response);
      expect([JSON.parse(failure?.data ?? '').error, rest]).toEqual([
        expect.objectContaining({ code: 'agent_error', reason, messageId }),
        [],
      ]);
      const again = await open(messageId, { headers: { 'last-event-id': '0-e3b0c44298fc1c14' } });
      expect([again.status, await again.json()]).toEqual([
        502,
        { error: expect.objectContaining({ code: 'agent_error', reason, messageId }) },
      ]);
    }
  });

  test('what is not the reply that a client has is 503 and not retryable; without the id it comes whole', async () => {
    const { messageId } = await newTurn(api, of);
    await endTurn(api, messageId, completed('Another reply.'));
    const response = await open(messageId, { query: '?after=3-0123456789abcdef' });
    expect([response.status, await response.json()]).toEqual([
      503,
      { error: expect.objectContaining({ code: 'instance_not_ready', retryable: false, messageId }) },
    ]);
    expect(contentOf(await read(await open(messageId)))).toBe('Another reply.');
  });

  test('a message of another account or agent, one that is deleted, and none are 404', async () => {
    const { messageId } = await newTurn(api, of);
    await endTurn(api, messageId, completed());
    const stranger = await api.newAccount();
    const otherAgent = await newAgent(account, await newInstance(account));
    expect((await stranger.call('GET', `${path}/${messageId}/stream`)).status).toBe(404);
    expect((await account.call('GET', `${path.replace(of.agentId, otherAgent)}/${messageId}/stream`)).status).toBe(404);
    await api.sql('delete from messages where id = ? returning id', [messageId]);
    expect((await open(messageId)).status).toBe(404);
  });

  test('one that is deleted while it is streamed ends in an error frame', async () => {
    const { messageId } = await newTurn(api, of);
    const reading = read(await open(messageId));
    await api.sql('delete from messages where id = ? returning id', [messageId]);
    const frames = await reading;
    expect(frames.map(({ data }) => JSON.parse(data).error.messageId)).toEqual([messageId]);
  });

  test.each([
    ['?after=x', {}, 'after'],
    ['?after=', {}, 'after'],
    ['?after=0-e3b0c44298fc1c14-', {}, 'after'],
    ['', { 'last-event-id': '12' }, 'Last-Event-ID'],
  ])('refuses %s %j', async (query, headers, field) => {
    const { messageId } = await newTurn(api, of);
    const { status, body } = await account.call('GET', `${path}/${messageId}/stream${query}`, undefined, { headers });
    expect([status, body.error.details[0].path]).toEqual([400, field]);
  });
});
