import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { contentOf, framesOf, readStream } from '../support/stream-reader.ts';
import type { Frame } from '../support/stream-reader.ts';
import { AGENT } from '../support/gateway-program.ts';
import { asGateway } from '../support/raw-gateway.ts';
import { recordSigns } from '../../turns/steps/record-signs.ts';
import { turnSettings } from '../../turns/turn-deps.ts';
import type { AccountClient } from './api-under-test.ts';
import { startLiveAgent } from './live-agent.ts';
import type { LiveAgent } from './live-agent.ts';

let live: LiveAgent;
let gateway: GatewayUnderTest;
let account: AccountClient;
let path: string;
let session = 0;
/** A conversation of its own for each test. */
let sessionId: string;

beforeAll(async () => {
  live = await startLiveAgent();
  ({ gateway, account } = live);
  path = `${live.path}/messages`;
});

beforeEach(() => {
  session += 1;
  sessionId = `session-${session}`;
});

afterAll(() => live?.close());

const send = (message: string, more: object = {}) =>
  account.call('POST', path, { message, sessionId, timeoutMs: PATIENCE_MS, ...more });
const stream = (message: string, signal?: AbortSignal) => account.raw('POST', path, { message, sessionId, stream: true }, signal);
/** What the model was last told with a message that has this text. */
const toldWith = (text: string) =>
  JSON.stringify(gateway.model.calls.findLast(({ lastUserText }) => lastUserText.includes(text))?.messages);
const history = async () => (await account.ok('GET', `${path}?sessionId=${sessionId}`)).messages;

test(
  'a message is answered by the agent, and remembered in its conversation',
  async () => {
    expect(await send('[[SAY The answer.]]')).toMatchObject({
      status: 200,
      body: { content: 'The answer.', status: 'completed', sessionId },
    });
    expect((await send('[[SAY Again]]')).body.content).toBe('Again');
    expect(toldWith('[[SAY Again]]')).toContain('The answer.');
  },
  TEST_LIMIT_MS,
);

test(
  'what a gateway would obey is a message like any other: the first of a conversation, a later one, and one that is streamed',
  async () => {
    expect((await send('/reset')).body.content).toBe('You said: /reset');
    expect((await send('/new Remember 4711.')).body.content).toBe('You said: /new Remember 4711.');
    expect((await readStream(await stream('/new'))).text).toBe('You said: /new');
    for (const text of ['/reset', '/new Remember 4711.']) expect(toldWith('/new')).toContain(text);
    expect((await history()).map(({ content }: { content: string }) => content)).toEqual([
      ...['/reset', 'You said: /reset', '/new Remember 4711.', 'You said: /new Remember 4711.', '/new', 'You said: /new'],
    ]);
  },
  TEST_LIMIT_MS,
);

test(
  'a stream of a real gateway that was cut goes on after any of its frames, live and when the reply has ended',
  async () => {
    const name = `cut-${session}`;
    const gone = new AbortController();
    const response = await stream(
      `[[PIECES ["\\n\\nOne ", "😀 ", "\\n two", " three ", "\\n\\n"]]] [[HOLD ${name} 3]]`,
      gone.signal,
    );
    const before: Frame[] = [];
    for await (const frame of framesOf(response)) {
      before.push(frame);
      if (contentOf(before).endsWith('two')) break;
    }
    gone.abort();
    const { messageId } = (await history()).at(-1);
    const goOn = async (id: string): Promise<Frame[]> => {
      const rest = await account.raw('GET', `${path}/${messageId}/stream?after=${id}`);
      gateway.model.release(name);
      const frames: Frame[] = [];
      for await (const frame of framesOf(rest)) frames.push(frame);
      return frames;
    };
    const after = await goOn(before.at(-1)?.id ?? '');
    const all = [...before, ...after];
    const { content } = await account.ok('GET', `${path}/${messageId}`);
    expect(contentOf(all)).toBe(content);
    expect(all.at(-1)?.data).toBe('[DONE]');
    for (const [index, { id = '' }] of all.entries())
      expect(contentOf([...all.slice(0, index + 1), ...(await goOn(id))])).toBe(content);
  },
  TEST_LIMIT_MS,
);

test(
  'the first words of a stream leave while the model still speaks',
  async () => {
    const name = `stream-${session}`;
    const response = await stream(`[[SAY One two three]] [[HOLD ${name} 1]]`);
    const read = await readStream(response, () => gateway.model.release(name));
    expect([read.text, read.isDone, read.error]).toEqual(['One two three', true, null]);
    expect(read.chunks.filter(({ choices }) => choices[0]?.delta.content).length).toBeGreaterThan(1);
  },
  TEST_LIMIT_MS,
);

test(
  'messages to one conversation are answered one after the other, those to another meanwhile',
  async () => {
    const name = `fifo-${session}`;
    const first = send(`[[SAY First]] [[HOLD ${name}]]`);
    await gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(name));
    const second = send('[[SAY Second]]');
    const other = await send('[[SAY Other]]', { sessionId: `${sessionId}-other` });
    expect(other.body.content).toBe('Other');
    expect((await history()).filter(({ status }: { status?: string }) => status === 'completed')).toEqual([]);
    gateway.model.release(name);
    const answers = [await first, await second];
    expect(answers.map(({ body }) => body.content)).toEqual(['First', 'Second']);
  },
  TEST_LIMIT_MS,
);

test(
  'a model that refuses fails the turn, and the next message is answered',
  async () => {
    const { status, body } = await send('[[FAIL 400]]');
    expect([status, body.error.code, body.error.reason]).toEqual([502, 'agent_error', 'model_error']);
    expect((await send('[[SAY Well again]]')).body.content).toBe('Well again');
  },
  TEST_LIMIT_MS,
);

test(
  'a client that goes away in the middle of a stream cancels nothing',
  async () => {
    const name = `gone-${session}`;
    const gone = new AbortController();
    const response = await stream(`[[SAY One two three]] [[HOLD ${name} 1]]`, gone.signal);
    await readStream(response, () => gone.abort()).catch(() => undefined);
    gateway.model.release(name);
    await eventually(async () => {
      expect((await history()).at(-1)).toMatchObject({ role: 'agent', status: 'completed', content: 'One two three' });
    });
  },
  TEST_LIMIT_MS,
);

test(
  'a cancel ends a running turn and its model call, and the next message is answered',
  async () => {
    const name = `cancel-${session}`;
    const sending = send(`[[SAY Never]] [[HOLD ${name}]]`);
    const call = await gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(name));
    const { messageId } = (await history()).at(-1);
    await account.ok('POST', `${path}/${messageId}/cancel`);
    expect(await sending).toMatchObject({ status: 502, body: { error: { reason: 'cancelled', messageId } } });
    await eventually(() => expect(call.aborted).toBe(true));
    // OpenClaw puts what was never answered before the next message, with what it asks of the fake model.
    gateway.model.release(name);
    expect(await send('And now?')).toMatchObject({ status: 200, body: { status: 'completed' } });
    expect(await account.ok('GET', `${path}/${messageId}`)).toMatchObject({ status: 'cancelled', content: '' });
  },
  TEST_LIMIT_MS,
);

test(
  'what the agent does with its tools is streamed and kept, the same from events and from the history',
  async () => {
    const command = 'echo "$((6 * 7))" && echo hello > note.txt';
    const script = [
      `[[TOOL exec ${JSON.stringify({ command, yieldMs: 120_000 })}]]`,
      '[[TOOL read {"path":"note.txt"}]] [[TOOL read {"path":"nothing.txt"}]] [[SAY Read.]]',
    ].join(' ');
    const response = await account.raw('POST', path, { message: script, sessionId, stream: true, include: ['steps'] });
    const frames: Frame[] = [];
    for await (const frame of framesOf(response)) frames.push(frame);
    const steps = frames.filter(({ event }) => event === 'step').map(({ data }) => JSON.parse(data));
    expect(steps.map(({ name, status }) => `${name} ${status}`)).toEqual(
      ['exec', 'read', 'read'].flatMap((name) => [`${name} started`, `${name} ended`]),
    );
    const ended = steps.filter(({ status }) => status === 'ended');
    expect(ended.map(({ output, isError }) => [output, isError])).toEqual([
      [expect.stringContaining('42'), false],
      [expect.stringContaining('hello'), false],
      [expect.any(String), true],
    ]);
    expect(JSON.parse(ended[0].input)).toMatchObject({ command });
    expect(contentOf(frames)).toBe('Read.');

    const { messages } = await account.ok('GET', `${path}?sessionId=${sessionId}`);
    const { messageId } = messages[1];
    const stored = async () => (await account.ok('GET', `${path}/${messageId}?include=steps`)).steps;
    expect(await stored()).toEqual(ended);

    // As another process reads them back after the one that has sent the turn died.
    const [turn] = await live.api.sql<{ conversation_id: string }>('select conversation_id from messages where id = ?', [
      messageId,
    ]);
    const place = { gatewayAgentId: AGENT, conversationId: turn?.conversation_id ?? '', messageId, attempt: 1 };
    const { signs } = await asGateway(live.client).turns.readBack(place, AbortSignal.timeout(PATIENCE_MS));
    const of = { messageId, instanceId: live.instanceId, runtimeId: gateway.runtimeId };
    await live.api.sql('delete from message_steps where message_id = ? returning message_id', [messageId]);
    await recordSigns({ ...live.api.deps, ...turnSettings(live.api.deps.config) }, of, signs);
    const withoutTimes = (all: object[]) => all.map((step) => ({ ...step, startedAt: null, endedAt: null }));
    expect(withoutTimes(await stored())).toEqual(withoutTimes(ended));
  },
  TEST_LIMIT_MS,
);
