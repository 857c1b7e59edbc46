import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TurnEnd } from '../../../domain/turn.ts';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, newAgent, newInstance, newRunningAgent, newTurn } from '../rows.ts';

/** Without a gateway and without a worker. test/turns/remove-conversation.test.ts has both. */
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
  path = `/instances/${of.instanceId}/agents/${of.agentId}`;
});
afterAll(() => api.close());

const completed = (content: string): TurnEnd => ({ status: 'completed', content, finishReason: 'stop' });

async function say(text: string, sessionId = '', answer: string | null = 'Fine') {
  api.advance(1_000);
  const turn = await newTurn(api, of, { text, sessionId });
  api.advance(1_000);
  if (answer !== null) await endTurn(api, turn.messageId, completed(answer));
  return turn;
}

const pendingReply = () =>
  eventually(async () => {
    const { messages } = await account.ok('GET', `${path}/messages`);
    expect(messages.at(-1)).toMatchObject({ status: 'pending' });
    return messages.at(-1).messageId;
  });

describe('conversations.list', () => {
  test('shows each with its first words, its messages and when the last was said, the newest first', async () => {
    await say('Hello\n there, \t agent', 'Case');
    await say('second', 'Case');
    await say('word '.repeat(30), 'case');
    const { messageId } = await say('no name');
    const pending = await say('still open', 'open', null);
    const { conversations, nextCursor } = await account.ok('GET', `${path}/conversations`);
    const shown = (one: { sessionId: string | null; title: string; messages: number }) => [
      one.sessionId,
      one.title,
      one.messages,
    ];
    expect(conversations.map(shown)).toEqual([
      ['open', 'still open', 2],
      [null, 'no name', 2],
      ['case', `${'word '.repeat(15)}word…`, 2],
      ['Case', 'Hello there, agent', 4],
    ]);
    expect(nextCursor).toBeNull();
    const { timestamp } = await account.ok('GET', `${path}/messages/${messageId}`);
    expect(conversations[1].lastAt).toBe(timestamp);
    // The end of a turn counts as well as its begin.
    api.advance(60_000);
    await endTurn(api, pending.messageId, completed('At last'));
    const [first] = (await account.ok('GET', `${path}/conversations`)).conversations;
    expect(first.lastAt).toBe((await account.ok('GET', `${path}/messages/${pending.messageId}`)).timestamp);
  });

  test('counts what the agent said by itself once', async () => {
    const { conversationId, messageId } = await say('Hello', 's');
    await api.sql(
      `with place as (update conversations set last_number = last_number + 1 where id = ? returning last_number)
       insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, sender_type, sender_id, sender_name, created_at, ended_at, source, status)
       select 'msg_bitselfsaid00000', account_id, instance_id, agent_id, conversation_id, place.last_number, 'agent', 'By the way', 'agent', 'a', 'A', created_at, created_at, 'agent', 'completed'
         from messages, place where messages.id = ? returning id`,
      [conversationId, messageId],
    );
    const { conversations } = await account.ok('GET', `${path}/conversations`);
    expect(conversations).toEqual([expect.objectContaining({ conversationId, messages: 3 })]);
    await api.sql(`delete from messages where id = 'msg_bitselfsaid00000' returning id`);
  });

  test('pages through all of them once, also those of one moment', async () => {
    for (let number = 1; number <= 7; number += 1) await newTurn(api, of, { sessionId: `s${number}` });
    await api.sql(`update conversations set last_at = now() where agent_id = ? returning id`, [of.agentId]);
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await account.ok('GET', `${path}/conversations?limit=3${cursor}`);
      seen.push(...page.conversations.map(({ sessionId }: { sessionId: string }) => sessionId));
      if (page.nextCursor === null) break;
      cursor = `&cursor=${page.nextCursor}`;
    }
    expect(seen.toSorted()).toEqual(['s1', 's2', 's3', 's4', 's5', 's6', 's7']);
  });
});

describe('conversations.delete', () => {
  const remove = (name: string) => account.call('DELETE', `${path}/conversations/${encodeURIComponent(name)}`);

  test('by its id or its session id: nothing of it is found any more, and others stay', async () => {
    const [gone, kept, unnamed] = [await say('Hello', 'a/b ü'), await say('Hello', 'kept'), await say('Hello')];
    expect(await remove('a/b ü')).toMatchObject({
      status: 200,
      body: { conversationId: gone.conversationId, deleted: true },
    });
    expect((await remove(unnamed.conversationId)).status).toBe(200);
    for (const name of ['a/b ü', gone.conversationId, unnamed.conversationId]) expect((await remove(name)).status).toBe(404);
    const { messages } = await account.ok('GET', `${path}/messages`);
    expect(messages.map(({ sessionId }: { sessionId: string }) => sessionId)).toEqual(['kept', 'kept']);
    const { conversations } = await account.ok('GET', `${path}/conversations`);
    expect(conversations.map(({ conversationId }: { conversationId: string }) => conversationId)).toEqual([kept.conversationId]);
    for (const call of [gone.messageId, gone.requestMessageId, `${gone.messageId}/stream`])
      expect([call, (await account.call('GET', `${path}/messages/${call}`)).status]).toEqual([call, 404]);
    expect((await account.call('POST', `${path}/messages/${gone.messageId}/cancel`)).status).toBe(404);
    expect((await account.call('GET', `${path}/messages?after=${gone.messageId}`)).status).toBe(400);
  });

  test('a later message with its session id begins another one', async () => {
    const first = await say('Hello', 'again');
    await remove('again');
    const second = await say('Anew', 'again');
    expect(second.conversationId).not.toBe(first.conversationId);
    expect((await account.ok('GET', `${path}/messages?sessionId=again`)).messages).toHaveLength(2);
  });

  test('an id of one conversation that is the session id of another means the first', async () => {
    const first = await say('Hello', 'one');
    await say('Hello', first.conversationId);
    await remove(first.conversationId);
    const { conversations } = await account.ok('GET', `${path}/conversations`);
    expect(conversations.map(({ sessionId }: { sessionId: string }) => sessionId)).toEqual([first.conversationId]);
  });

  test('ends its running and waiting turns, each with its event; who waits gets 404', async () => {
    const sending = account.call('POST', `${path}/messages`, { message: 'Hello', sessionId: 's' });
    const running = await pendingReply();
    const waiting = await say('behind', 's', null);
    const elsewhere = await say('elsewhere', 'other', null);
    const streaming = account.raw('GET', `${path}/messages/${waiting.messageId}/stream`);
    expect((await streaming).status).toBe(200);
    expect((await remove('s')).status).toBe(200);
    expect(await sending).toMatchObject({ status: 404, body: { error: { code: 'not_found', messageId: running } } });
    expect(await (await streaming).text()).toContain('"code":"not_found"');
    const { events } = await account.ok('GET', `/instances/${of.instanceId}/events`);
    expect(events.map(({ messageId, error }: { messageId: string; error: object }) => [messageId, error])).toEqual(
      [running, waiting.messageId].map((id) => [id, expect.objectContaining({ code: 'cancelled' })]),
    );
    expect(await account.ok('GET', `${path}/messages/${elsewhere.messageId}`)).toMatchObject({ status: 'pending' });
  });

  test('a message that is sent again under its key after its conversation was deleted is 404, and not said again', async () => {
    const headers = { 'idempotency-key': 'deleted' };
    const send = () => account.call('POST', `${path}/messages`, { message: 'Hello', sessionId: 'k' }, { headers });
    const sending = send();
    await endTurn(api, await pendingReply(), completed('Hi'));
    expect((await sending).status).toBe(200);
    await remove('k');
    expect((await send()).status).toBe(404);
    expect((await account.ok('GET', `${path}/messages`)).messages).toEqual([]);
  });

  test('is 404 for the conversation of another agent or account', async () => {
    const { conversationId } = await say('Hello', 'mine');
    const stranger = await api.newAccount();
    expect((await stranger.call('DELETE', `${path}/conversations/${conversationId}`)).status).toBe(404);
    const other = await newAgent(account, await newInstance(account));
    expect((await account.call('DELETE', `${path.replace(of.agentId, other)}/conversations/${conversationId}`)).status).toBe(404);
    expect((await account.ok('GET', `${path}/messages`)).messages).toHaveLength(2);
  });
});
