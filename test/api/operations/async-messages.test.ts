import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, newRunningAgent } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let path: string;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});
beforeEach(async () => {
  const { instanceId, agentId } = await newRunningAgent(api, account);
  path = `/instances/${instanceId}/agents/${agentId}/messages`;
});
afterAll(() => api.close());

const send = (body: object, headers: Record<string, string> = {}) =>
  account.call('POST', path, { message: 'Hello', ...body }, { headers });

describe('a message that is sent asynchronously', () => {
  test('is 202 at once with its pending reply, which is found at Location until and after its turn ends', async () => {
    const { status, body, headers } = await send({ async: true, sessionId: 's' });
    const { messageId } = body;
    expect([status, headers.get('location')]).toEqual([202, `/v1${path}/${messageId}`]);
    expect(body).toMatchObject({ role: 'agent', status: 'pending', content: '', sessionId: 's', error: null });
    expect(await account.ok('GET', `${path}/${messageId}`)).toEqual(body);
    await endTurn(api, messageId, { status: 'completed', content: 'Hi', finishReason: 'stop' });
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'completed', content: 'Hi' });
    const { events } = await account.ok('GET', '/events?after=0');
    expect(events.at(-1)).toMatchObject({ eventType: 'agent.message', messageId, content: 'Hi' });
  });

  test('is owned by the process that accepted it, so that it is sent without a client that waits', async () => {
    const { body } = await send({ async: true });
    const [row] = await api.sql<{ owner: string; attempt: number }>('select owner, attempt from messages where id = ?', [
      body.messageId,
    ]);
    expect(row).toEqual({ owner: api.deps.turnSender.owner(), attempt: 1 });
  });

  test('repeated under its key it is not said again: the same answer, also when the turn has ended; 404 when it is deleted', async () => {
    const key = { 'idempotency-key': 'once' };
    const first = await send({ async: true }, key);
    const { messageId } = first.body;
    const replayed = async () => {
      const { status, body, headers } = await send({ async: true }, key);
      return [status, body, headers.get('idempotent-replayed'), headers.get('location')];
    };
    const same = [202, first.body, 'true', first.headers.get('location')];
    expect(await replayed()).toEqual(same);
    await endTurn(api, messageId, { status: 'failed', reason: 'model_error', message: 'No.' });
    expect(await replayed()).toEqual(same);
    expect((await account.ok('GET', path)).messages).toHaveLength(2);
    await api.sql('delete from messages where id = ? returning id', [messageId]);
    expect((await send({ async: true }, key)).status).toBe(404);
  });

  test('cannot be streamed too, and false is what it is without the field', async () => {
    const { status, body } = await send({ async: true, stream: true });
    expect([status, body.error.details]).toEqual([400, [expect.objectContaining({ path: 'async' })]]);
    expect((await send({ async: false, timeoutMs: 1 })).status).toBe(504);
  });
});
