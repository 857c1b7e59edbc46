import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NotFoundError } from 'openai';
import type { OpenAI } from 'openai';
import { eventually } from '../../support/eventually.ts';
import { startOpenaiAgent } from './openai-agent.ts';
import type { OpenaiAgent } from './openai-agent.ts';

type Params = Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, 'model'>;
type Events = OpenAI.Responses.ResponseStreamEvent[];

let door: OpenaiAgent;
let responses: OpenAI.Responses;
let count = 0;

beforeAll(async () => {
  door = await startOpenaiAgent();
  ({ responses } = door.openai);
});
afterAll(() => door?.close());

const once = (text: string) => `${text} ${(count += 1)}`;
const create = (params: Params, options: object = {}) =>
  responses.create({ model: door.agentId, ...params, stream: false }, options);
const saidIn = async (conversationId: string): Promise<string[]> => {
  const rows = await door.api.sql<{ content: string }>(
    'select content from messages where conversation_id = ? order by number, role desc',
    [conversationId],
  );
  return rows.map(({ content }) => content);
};
async function eventsOf(stream: AsyncIterable<OpenAI.Responses.ResponseStreamEvent>): Promise<Events> {
  const events: Events = [];
  for await (const event of stream) events.push(event);
  return events;
}
const textOf = (events: Events): string =>
  events.map((event) => (event.type === 'response.output_text.delta' ? event.delta : '')).join('');
const status = async (id: string) => (await responses.retrieve(id)).status;
const reached = (id: string, wanted: string) => eventually(async () => expect(await status(id)).toBe(wanted));

describe('a response', () => {
  test('is the reply of the agent, with what its request had in it', async () => {
    const text = once('[[SAY Good morning]]');
    const response = await create({ input: text, metadata: { order: '7' }, instructions: 'Be kind.' });
    expect(response).toMatchObject({
      id: expect.stringMatching(/^resp_msg_/),
      object: 'response',
      status: 'completed',
      output_text: 'Good morning',
      error: null,
      incomplete_details: null,
      instructions: 'Be kind.',
      metadata: { order: '7' },
      model: door.agentId,
      previous_response_id: null,
      background: false,
      store: true,
      usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 },
    });
    expect(response.output).toEqual([
      {
        id: response.id.slice('resp_'.length),
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Good morning', annotations: [], logprobs: [] }],
      },
    ]);
    expect(await responses.retrieve(response.id)).toEqual(response);
    expect(await door.lastTold()).toBe(`Instructions for this conversation:\nBe kind.\n\nThe new message:\n\n${text}`);
    const message = await door.account.ok('GET', `${door.path}/messages/${response.id.slice('resp_'.length)}`);
    expect(message).toMatchObject({ content: 'Good morning', status: 'completed' });
  });

  test('begins a conversation, and goes on in that of previous_response_id or of a conversation', async () => {
    const first = once('First');
    const one = await create({ input: first });
    const two = await create({ input: 'Second', previous_response_id: one.id });
    expect(two.previous_response_id).toBe(one.id);
    const three = await create({ input: 'Third', conversation: two.conversation!.id });
    await create({ input: 'Fourth', conversation: { id: three.conversation!.id } });
    expect(new Set([one, two, three].map(({ conversation }) => conversation?.id)).size).toBe(1);
    const said = [first, 'Second', 'Third', 'Fourth'].flatMap((text) => [text, `You said: ${text}`]);
    expect(await saidIn(one.conversation!.id)).toEqual(said);
    expect((await create({ input: first })).conversation).not.toEqual(one.conversation);
  });

  test('that goes on from the middle begins a conversation which knows what was said up to there', async () => {
    const one = await create({ input: once('Root') });
    await create({ input: 'Left', previous_response_id: one.id });
    const right = await create({ input: 'Right', previous_response_id: one.id });
    expect(right.conversation).not.toEqual(one.conversation);
    const told = await door.lastTold();
    expect(told).toMatch(/^The conversation so far:\nUser: Root \d+\nYou: You said: Root \d+\n\nThe new message:\n\nRight$/);
  });

  test('goes on in a conversation that another door has begun', async () => {
    const { messageId } = await door.account.ok('POST', `${door.path}/messages`, { message: 'By our own API', sessionId: 'own' });
    expect(await responses.retrieve(`resp_${messageId}`)).toMatchObject({ model: door.agentId, metadata: {} });
    await create({ input: 'Behind it', previous_response_id: `resp_${messageId}` });
    await create({ input: 'By name', conversation: 'own' });
    const { messages } = await door.account.ok('GET', `${door.path}/messages?sessionId=own`);
    expect(messages.map(({ content }: { content: string }) => content)).toEqual([
      ...['By our own API', 'You said: By our own API', 'Behind it', 'You said: Behind it', 'By name', 'You said: By name'],
    ]);
  });

  test('takes items for its input: messages, calls of functions and what came of them', async () => {
    const response = await create({
      input: [
        { role: 'developer', content: 'Be exact.' },
        { role: 'user', content: [{ type: 'input_text', text: once('Weather?') }] },
        { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"city":"Rome"}' },
        { type: 'function_call_output', call_id: 'c1', output: 'Sunny' },
        { type: 'message', role: 'user', content: 'And now?' },
      ],
    });
    const told = await door.lastTold();
    for (const part of ['Be exact.', 'User: Weather?', '(calls weather with {"city":"Rome"})']) expect(told).toContain(part);
    const items = await responses.inputItems.list(response.id);
    expect(items.data).toEqual([
      {
        id: expect.stringMatching(/^msg_/),
        type: 'message',
        status: 'completed',
        role: 'user',
        content: [{ type: 'input_text', text: 'Result of a tool:\nSunny\n\nAnd now?' }],
      },
    ]);
    const [item] = items.data;
    expect((await responses.inputItems.list(response.id, { after: item!.id })).data).toEqual([]);
  });

  const REFUSED: [given: object, param: string][] = [
    [{ store: false }, 'store'],
    [{ input: '' }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: undefined }, 'input'],
    [{ input: [{ type: 'item_reference', id: 'x' }] }, 'input.0.type'],
    [{ previous_response_id: 'resp_msg_nothingnothing00' }, 'previous_response_id'],
    [{ previous_response_id: 'nonsense' }, 'previous_response_id'],
    [{ previous_response_id: 'resp_msg_nothingnothing00', conversation: 'conv_nothingnothing00' }, 'conversation'],
    [{ instructions: 'x'.repeat(256 * 1024) }, 'instructions'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) }, 'metadata'],
  ];
  test.each(REFUSED)('is 400 for what cannot be done, naming the field: %#', async (given, param) => {
    await expect(create({ input: 'a', ...given })).rejects.toMatchObject({ status: 400, code: 'invalid_request', param });
  });

  test('is 404 in a conversation that the agent does not have', async () => {
    await expect(create({ input: 'a', conversation: 'conv_nothingnothing00' })).rejects.toBeInstanceOf(NotFoundError);
  });

  test('names what the agent cannot honour', async () => {
    const { response } = await responses
      .create({ model: door.agentId, input: '[[SAY x]]', temperature: 1, tools: [], truncation: 'auto', store: true })
      .withResponse();
    expect(response.headers.get('x-ignored-parameters')).toBe('temperature, tools, truncation');
  });

  test('that fails is an error, and failed when it is asked for', async () => {
    const error = await create({ input: '[[FAIL 400]]' }, { maxRetries: 2 }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 502, code: 'agent_error', error: { messageId: expect.stringMatching(/^msg_/) } });
    const { messageId } = (error as { error: { messageId: string } }).error;
    expect(await responses.retrieve(`resp_${messageId}`)).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: expect.stringContaining('model_error') },
      output: [],
    });
  });

  test('is never doubled by an Idempotency-Key, or by the retries of an official client', async () => {
    const keyed = { headers: { 'Idempotency-Key': 'response' } };
    const one = await create({ input: once('[[SAY Once]]') }, keyed);
    expect(await create({ input: `[[SAY Once]] ${count}` }, keyed)).toEqual(one);
    const again = await create({ input: `[[SAY Once]] ${count}` }, { headers: { 'X-Stainless-Retry-Count': '1' } });
    expect(again.id).toBe(one.id);
  });
});

describe('the stream of a response', () => {
  test('has the events of OpenAI, in order, with growing numbers', async () => {
    const stream = await responses.create({ model: door.agentId, input: '[[SAY One two three]]', stream: true });
    const events = await eventsOf(stream);
    const types = events.map(({ type }) => type).filter((type) => type !== 'response.output_text.delta');
    expect(types).toEqual([
      ...['response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added'],
      ...['response.output_text.done', 'response.content_part.done', 'response.output_item.done', 'response.completed'],
    ]);
    expect(textOf(events)).toBe('One two three');
    const numbers = events.map((event) => ('sequence_number' in event ? event.sequence_number : -1));
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    expect(numbers.slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect(events[0]).toMatchObject({ response: { status: 'in_progress', output: [], usage: null } });
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed', usage: { total_tokens: 0 } } });
  });

  test('is what the helper of the official client takes', async () => {
    const stream = responses.stream({ model: door.agentId, input: '[[SAY One two three]]' });
    let text = '';
    stream.on('response.output_text.delta', ({ delta }) => void (text += delta));
    const final = await stream.finalResponse();
    expect([text, final.output_text, final.status]).toEqual(['One two three', 'One two three', 'completed']);
  });

  test('names each event on the wire', async () => {
    const response = await fetch(`${door.api.url}/openai/v1/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${door.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: door.agentId, input: '[[SAY One]]', stream: true }),
    });
    const frames = (await response.text()).split('\n\n').filter((frame) => frame !== '' && !frame.startsWith(':'));
    for (const frame of frames) {
      const [, event, data] = /^event: (\S+)\ndata: (.*)$/.exec(frame) ?? [];
      expect(JSON.parse(data ?? '{}').type).toBe(event);
    }
    expect(frames.length).toBeGreaterThan(8);
  });

  test('ends with response.failed where the turn fails', async () => {
    const stream = await responses.create({ model: door.agentId, input: '[[FAIL 400]]', stream: true });
    expect((await eventsOf(stream)).at(-1)).toMatchObject({ type: 'response.failed', response: { status: 'failed' } });
  });

  test('goes on behind any of its events, at any time, and repeats none', async () => {
    const text = 'One two 🙂 three';
    const stream = await responses.create({ model: door.agentId, input: `[[SAY ${text}]]`, stream: true });
    const events = await eventsOf(stream);
    const id = events[0]?.type === 'response.created' ? events[0].response.id : '';
    for (const [index, event] of events.slice(0, -1).entries()) {
      const after = 'sequence_number' in event ? event.sequence_number : -1;
      const rest = await eventsOf(await responses.retrieve(id, { stream: true, starting_after: after }));
      const received = [...events.slice(0, index + 1), ...rest];
      expect(textOf(received)).toBe(text);
      expect(received.map(({ type }) => type).filter((type) => type !== 'response.output_text.delta')).toEqual(
        events.map(({ type }) => type).filter((type) => type !== 'response.output_text.delta'),
      );
      expect(rest.every((one) => 'sequence_number' in one && one.sequence_number > after)).toBe(true);
    }
    const whole = await eventsOf(await responses.retrieve(id, { stream: true }));
    expect([textOf(whole), whole.length]).toEqual([text, 9]);
  });

  test('is taken up while the turn runs, and lives on to its end', async () => {
    const input = '[[SAY One two three four]] [[HOLD taken-up 2]]';
    const stream = await responses.create({ model: door.agentId, input, stream: true });
    const before: Events = [];
    for await (const event of stream) {
      before.push(event);
      if (textOf(before) === 'One two') break;
    }
    const [first, last] = [before[0], before.at(-1)];
    if (first?.type !== 'response.created' || last?.type !== 'response.output_text.delta') throw new Error('no text came');
    const resumed = await responses.retrieve(first.response.id, { stream: true, starting_after: last.sequence_number });
    const reading = eventsOf(resumed);
    door.control.release('taken-up');
    expect(textOf([...before, ...(await reading)])).toBe('One two three four');
  });

  test('says so where the reply is another one than what the client has of it', async () => {
    const stream = await responses.create({ model: door.agentId, input: '[[SAY One two three]]', stream: true });
    const events = await eventsOf(stream);
    const [first, text] = [events[0], events.findLast(({ type }) => type === 'response.output_text.delta')];
    if (first?.type !== 'response.created' || text?.type !== 'response.output_text.delta') throw new Error('no text came');
    const goOn = async () => eventsOf(await responses.retrieve(id, { stream: true, starting_after: text.sequence_number }));
    const { id } = first.response;
    expect(await goOn()).toHaveLength(4);
    // As after a second try of the turn, by a gateway that was started again.
    for (const content of ['One two four!', 'One']) {
      await door.api.sql('update messages set content = ? where id = ? returning id', [content, id.slice('resp_'.length)]);
      await expect(goOn()).rejects.toMatchObject({ code: 'instance_not_ready' });
    }
  });

  test('cannot be taken up behind what is no number', async () => {
    const { id } = await create({ input: '[[SAY One]]' });
    const wrong = fetch(`${door.api.url}/openai/v1/responses/${id}?stream=true&starting_after=-1`, {
      headers: { authorization: `Bearer ${door.apiKey}` },
    });
    expect((await wrong).status).toBe(400);
  });
});

describe('a response in the background', () => {
  test('is answered at once, and asked for until it has ended', async () => {
    const response = await create({ input: '[[SAY Later]] [[HOLD background]]', background: true });
    expect(response).toMatchObject({ status: 'in_progress', background: true, output: [], usage: null, completed_at: null });
    expect(await status(response.id)).toBe('in_progress');
    door.control.release('background');
    await reached(response.id, 'completed');
    expect((await responses.retrieve(response.id)).output_text).toBe('Later');
  });

  test('is repeated as it is then by its Idempotency-Key', async () => {
    const call = () =>
      create({ input: '[[SAY Later]] [[HOLD repeated]]', background: true }, { headers: { 'Idempotency-Key': 'background' } });
    const { id } = await call();
    expect(await call()).toMatchObject({ id, status: 'in_progress' });
    door.control.release('repeated');
    await reached(id, 'completed');
    expect(await call()).toMatchObject({ id, status: 'completed', output_text: 'Later' });
  });
});

describe('responses', () => {
  test('that wait or run are cancelled; cancelling again changes nothing, and what has ended is 400', async () => {
    const { id } = await create({ input: '[[SAY Never]] [[HOLD cancelled]]', background: true });
    expect(await responses.cancel(id)).toMatchObject({ id, status: 'cancelled', output: [], error: null });
    expect(await responses.cancel(id)).toMatchObject({ id, status: 'cancelled' });
    door.control.release('cancelled');
    const ended = await create({ input: '[[SAY Done]]' });
    await expect(responses.cancel(ended.id)).rejects.toMatchObject({ status: 400, code: 'invalid_request' });
  });

  test('that were deleted are not found, and their messages stay', async () => {
    const { id, conversation } = await create({ input: '[[SAY Kept]]' });
    expect(await responses.delete(id)).toMatchObject({ id, object: 'response', deleted: true });
    await expect(responses.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(responses.delete(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(create({ input: 'a', previous_response_id: id })).rejects.toMatchObject({ param: 'previous_response_id' });
    expect(await saidIn(conversation!.id)).toEqual(['[[SAY Kept]]', 'Kept']);
  });

  test('of a conversation that was deleted are not found, and nothing is said in it any more', async () => {
    const { id, conversation } = await create({ input: '[[SAY Gone]]' });
    await door.account.ok('DELETE', `${door.path}/conversations/${conversation!.id}`);
    await expect(responses.retrieve(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(responses.cancel(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(responses.inputItems.list(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(create({ input: 'a', conversation: conversation!.id })).rejects.toBeInstanceOf(NotFoundError);
    await expect(create({ input: 'a', previous_response_id: id })).rejects.toMatchObject({ param: 'previous_response_id' });
  });

  test('of another account are not found, whatever is done with them', async () => {
    const { id, conversation } = await create({ input: '[[SAY Mine]]' });
    const stranger = await door.api.newAccount();
    const { apiKey } = await stranger.ok('POST', '/auth/keys', { name: 'stranger' });
    const theirs = door.clientWith({ apiKey }).responses;
    const attempts = [
      () => theirs.retrieve(id),
      () => theirs.cancel(id),
      () => theirs.delete(id),
      () => theirs.inputItems.list(id),
      () => theirs.create({ model: door.agentId, input: 'a', conversation: conversation!.id }),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ status: 404 });
  });
});
