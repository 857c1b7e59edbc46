import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import type { ScriptedControl } from '../../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import { framesOf } from '../../support/stream-reader.ts';
import type { Frame } from '../../support/stream-reader.ts';
import { said, startAnthropicDoor, untilIdle } from './anthropic-agent.ts';
import type { AnthropicDoor, SessionEvent } from './anthropic-agent.ts';

let door: AnthropicDoor;
let control: ScriptedControl;

beforeAll(async () => {
  const { gateway, control: given } = await startScripted();
  control = given;
  door = await startAnthropicDoor(gateway);
});
afterEach(() => control.behave());
afterAll(() => door?.close());

const events = () => door.anthropic.beta.sessions.events;
const send = (id: string, ...texts: string[]) => events().send(id, { events: texts.map(said) });
const typesOf = (found: readonly { type: string }[]) => found.map(({ type }) => type);
const idOf = (event: SessionEvent | undefined) => (event && 'id' in event ? event.id : null);
const textOf = (event: SessionEvent | undefined) => (event?.type === 'agent.message' ? event.content : null);
const listed = async (id: string, params: object = {}): Promise<SessionEvent[]> => {
  const all: SessionEvent[] = [];
  for await (const event of events().list(id, params)) all.push(event);
  return all;
};

/** Reads the frames of a stream until the agent is idle, from an event on. */
async function framesAfter(id: string, init: { query?: string; lastEventId?: string } = {}): Promise<Frame[]> {
  const gone = new AbortController();
  const headers = { authorization: `Bearer ${door.apiKey}`, ...(init.lastEventId && { 'last-event-id': init.lastEventId }) };
  const url = `${door.baseURL}/v1/sessions/${id}/events/stream${init.query ?? ''}`;
  const frames: Frame[] = [];
  for await (const frame of framesOf(await fetch(url, { headers, signal: gone.signal }))) {
    frames.push(frame);
    if (JSON.parse(frame.data).type === 'session.status_idle') break;
  }
  gone.abort();
  return frames;
}

const TURN = ['user.message', 'session.status_running', 'agent.message', 'session.status_idle'];

describe('the quickstart of the official client', () => {
  test('makes an agent, a session in an environment, sends a message, and reads its events until the agent is idle', async () => {
    const agent = await door.anthropic.beta.agents.create({
      name: 'Helper',
      model: 'claude-opus-5-5',
      system: 'You are a helpful assistant.',
      tools: [{ type: 'agent_toolset_20260401' }],
    });
    expect(agent).toMatchObject({
      type: 'agent',
      version: 1,
      name: 'Helper',
      model: { id: 'claude-opus-5-5' },
      multiagent: null,
    });
    const session = await door.anthropic.beta.sessions.create({
      agent: agent.id,
      environment_id: door.environmentId,
      title: 'Quickstart',
    });
    expect(session).toMatchObject({ type: 'session', status: 'idle', environment_id: door.environmentId, title: 'Quickstart' });
    expect(session.agent).toMatchObject({ id: agent.id, version: 1, system: 'You are a helpful assistant.' });
    await door.activate(session.id);

    const stream = await events().stream(session.id);
    const sent = await send(session.id, '[[SAY Good morning]]');
    const received = await untilIdle(stream);
    expect(typesOf(received)).toEqual(TURN);
    expect(sent.data).toEqual([{ ...said('[[SAY Good morning]]'), id: idOf(received[0]), processed_at: null }]);
    expect(received[0]).toMatchObject({
      content: [{ type: 'text', text: '[[SAY Good morning]]' }],
      processed_at: expect.any(String),
    });
    expect(textOf(received[2])).toEqual([{ type: 'text', text: 'Good morning' }]);
    expect(received[3]).toMatchObject({ stop_reason: { type: 'end_turn' }, stop_details: null });
    expect(await listed(session.id)).toEqual(received);
    expect((await door.anthropic.beta.sessions.retrieve(session.id)).status).toBe('idle');
  });

  test('shows the calls of tools between the beginning and the reply, the same in the stream and the list', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    await send(id, '[[TOOL exec {"command":"echo found"}]] [[SAY It is there]]');
    const received = await untilIdle(stream);
    expect(typesOf(received)).toEqual([...TURN.slice(0, 2), 'agent.tool_use', 'agent.tool_result', ...TURN.slice(2)]);
    expect(received[2]).toMatchObject({ name: 'exec', input: { command: 'echo found' } });
    expect(received[3]).toMatchObject({
      tool_use_id: idOf(received[2]),
      content: [{ type: 'text', text: 'found' }],
      is_error: false,
    });
    expect(await listed(id)).toEqual(received);
  });

  test('is a conversation of our own API, which has its messages', async () => {
    const id = await door.openSession();
    await send(id, '[[SAY Here]]');
    const [row] = await door.api.sql<{ agent: string }>('select agent_id as agent from claude_sessions where id = ?', [id]);
    const path = `/instances/${door.instanceId}/agents/${row?.agent}/messages?sessionId=${id}`;
    const contents = await eventually(async () => {
      const { messages } = await door.account.ok('GET', path);
      expect(messages[1]?.status).toBe('completed');
      return messages.map(({ content }: { content: string }) => content);
    });
    expect(contents).toEqual(['[[SAY Here]]', 'Here']);
  });
});

describe('a stream', () => {
  test('begins live: with nothing of what was before, and with the rest of a turn that runs', async () => {
    const id = await door.openSession();
    await send(id, '[[SAY Before]]');
    await eventually(async () => expect(typesOf(await listed(id))).toEqual(TURN));
    await send(id, '[[WORDS 4]] [[HOLD live 2]]');
    await eventually(async () => expect((await door.anthropic.beta.sessions.retrieve(id)).status).toBe('running'));
    const stream = await events().stream(id);
    control.release('live');
    const received = await untilIdle(stream);
    expect(typesOf(received)).toEqual(TURN.slice(2));
    expect(textOf(received[0])).toEqual([{ type: 'text', text: 'w1 w2 w3 w4' }]);
  });

  test('goes on after any of its events, by Last-Event-ID or after, without a gap and without a repetition', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    await send(id, '[[TOOL exec {"command":"echo a"}]] [[TOOL exec {"command":"echo b"}]] [[SAY Done]]');
    const all = (await untilIdle(stream)).map((event) => JSON.stringify(event));
    const ids = all.map((data) => JSON.parse(data).id as string);
    for (const [index, last] of ids.slice(0, -1).entries()) {
      const rest = await framesAfter(id, { lastEventId: last });
      expect(rest.map(({ data }) => data)).toEqual(all.slice(index + 1));
      expect(rest.map(({ id: frameId, event }) => [frameId, event])).toEqual(ids.slice(index + 1).map((one) => [one, 'message']));
      expect(await framesAfter(id, { query: `?after=${last}` })).toEqual(rest);
    }
  });

  test('has the words of a reply as they are written, where it asks for them', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id, { event_deltas: ['agent.message'] });
    await send(id, '[[WORDS 6]] [[HOLD words 3]]');
    const pieces: string[] = [];
    const ids: string[] = [];
    for await (const event of stream) {
      if (event.type === 'event_start') ids.push(event.event.id);
      if (event.type === 'agent.message') ids.push(event.id);
      if (event.type === 'event_delta') {
        ids.push(event.event_id);
        pieces.push(event.delta.content.text);
        control.release('words');
      }
      if (event.type === 'session.status_idle') break;
    }
    expect([pieces.join(''), new Set(ids).size, ids.length]).toEqual(['w1 w2 w3 w4 w5 w6', 1, pieces.length + 2]);
    expect(pieces.length).toBeGreaterThan(1);
  });

  test('ends without an error when its process stops, in the middle of a turn', async () => {
    const stopping = await startAnthropicDoor((await startScripted()).gateway);
    const id = await stopping.openSession();
    const stream = await stopping.anthropic.beta.sessions.events.stream(id);
    await stopping.anthropic.beta.sessions.events.send(id, { events: [said('[[WORDS 4]] [[HOLD stopped 2]]')] });
    const received: string[] = [];
    let closing: Promise<void> | undefined;
    for await (const { type } of stream) {
      received.push(type);
      if (type === 'session.status_running') closing = stopping.close();
    }
    await closing;
    expect(received).toEqual(TURN.slice(0, 2));
  });

  test('of a session that is deleted says so and ends', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    expect(await door.anthropic.beta.sessions.delete(id)).toEqual({ id, type: 'session_deleted' });
    const received: SessionEvent[] = [];
    for await (const event of stream) received.push(event);
    expect(typesOf(received)).toEqual(['session.deleted']);
    await expect(door.anthropic.beta.sessions.retrieve(id)).rejects.toMatchObject({ status: 404, type: 'not_found_error' });
  });

  test.each(['sevt_none', 'sevt_a1b2c3d4e5f6g7h8i9j0_idle', 'x'])(
    'is 400 after what is no event of the session: %s',
    async (after) => {
      const id = await door.openSession();
      const url = `${door.baseURL}/v1/sessions/${id}/events/stream?after=${after}`;
      const response = await fetch(url, { headers: { authorization: `Bearer ${door.apiKey}` } });
      expect([response.status, await response.json()]).toMatchObject([
        400,
        { type: 'error', error: { type: 'invalid_request_error' } },
      ]);
    },
  );
});

describe('events that are sent', () => {
  test('under one Idempotency-Key are said once', async () => {
    const id = await door.openSession();
    const headers = { 'Idempotency-Key': 'once' };
    const first = await events().send(id, { events: [said('[[SAY Once]]')] }, { headers });
    expect(await events().send(id, { events: [said('[[SAY Once]]')] }, { headers })).toEqual(first);
    await eventually(async () => expect(typesOf(await listed(id))).toEqual(TURN));
  });

  test('are turns one after the other, each between running and idle', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    await send(id, '[[SAY One]]', '[[SAY Two]]');
    const iterator = stream[Symbol.asyncIterator]();
    const received: SessionEvent[] = [];
    while (received.length < 8) received.push((await iterator.next()).value);
    expect(typesOf(received)).toEqual([...TURN, ...TURN]);
    stream.controller.abort();
    expect(await listed(id)).toEqual(received);
  });

  test('interrupt the turn that runs and those that wait: the session is idle and answers the next message', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    await send(id, '[[WORDS 4]] [[HOLD never 2]]');
    await eventually(async () => expect((await door.anthropic.beta.sessions.retrieve(id)).status).toBe('running'));
    await events().send(id, { events: [{ type: 'user.interrupt' }, said('[[SAY Instead]]')] });
    const iterator = stream[Symbol.asyncIterator]();
    const received: SessionEvent[] = [];
    while (received.length < 8) received.push((await iterator.next()).value);
    stream.controller.abort();
    expect(typesOf(received)).toEqual([...TURN.slice(0, 2), 'user.interrupt', 'session.status_idle', ...TURN]);
    expect(textOf(received[6])).toEqual([{ type: 'text', text: 'Instead' }]);
    expect(await listed(id)).toEqual(received);
  });

  test('whose turn fails are answered by an error of the session, which is idle then', async () => {
    const id = await door.openSession();
    const stream = await events().stream(id);
    await send(id, '[[FAIL 400]]');
    const received = await untilIdle(stream);
    expect(received.slice(2)).toMatchObject([
      { type: 'session.error', error: { type: 'model_request_failed_error', retry_status: { type: 'exhausted' } } },
      { type: 'session.status_idle', stop_reason: { type: 'retries_exhausted' } },
    ]);
    expect(await listed(id)).toEqual(received);
  });

  test.each([
    ['of an unknown type', [{ type: 'user.custom_tool_result', custom_tool_use_id: 'a', content: [] }], 'events.0'],
    ['of an outcome', [{ type: 'user.define_outcome', description: 'a' }], 'events.0'],
    ['with an image', [{ type: 'user.message', content: [{ type: 'image', source: {} }] }], 'events.0.content.0.type'],
    ['without a text', [{ type: 'user.message', content: [] }], 'events.0.content'],
    ['that are blank', [{ type: 'user.message', content: [{ type: 'text', text: ' ' }] }], 'events.0.content'],
    ['that are none', [], 'events'],
    ['that are more than twenty', Array.from({ length: 21 }, () => ({ type: 'user.interrupt' })), 'events'],
  ])('%s are 400 that names the field', async (_name, given, field) => {
    const id = await door.openSession();
    const refused = door.anthropic.post(`/v1/sessions/${id}/events`, { body: { events: given } });
    await expect(refused).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' });
    await expect(refused).rejects.toThrow(field);
    expect(await listed(id)).toEqual([]);
  });
});

describe('the list of events', () => {
  test('has pages, both orders and only the types that are asked for', async () => {
    const id = await door.openSession();
    for (const text of ['[[SAY One]]', '[[SAY Two]]', '[[SAY Three]]']) {
      const stream = await events().stream(id);
      await send(id, text);
      await untilIdle(stream);
    }
    const all = await listed(id);
    expect(typesOf(all)).toEqual([...TURN, ...TURN, ...TURN]);
    for (const limit of [1, 3, 5, 12]) {
      expect(await listed(id, { limit })).toEqual(all);
      expect(await listed(id, { limit, order: 'desc' })).toEqual(all.toReversed());
    }
    const only = await listed(id, { types: ['agent.message', 'user.message'], limit: 5 });
    expect(typesOf(only)).toEqual([
      'user.message',
      'agent.message',
      'user.message',
      'agent.message',
      'user.message',
      'agent.message',
    ]);
  });
});
