import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { cancelTurn } from './cancel-turn.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { AGENT, borrowGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { collect, heard, startApi } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let instance: NewAgent;
const apis: ApiUnderTest[] = [];

beforeAll(async () => {
  [turns, gateway] = await Promise.all([openTurns(), borrowGateway()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
});
afterEach(async () => {
  await Promise.all(apis.splice(0).map((api) => api.close()));
});

async function newApi(): Promise<ApiUnderTest> {
  const api = await startApi(turns, gateway);
  apis.push(api);
  return api;
}

const callsWith = (text: string) => gateway.model.calls.filter(({ lastUserText }) => lastUserText.includes(text));
const modelCalled = (text: string) => gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(text));

describe('a turn runs once and ends once', () => {
  test('the reply is stored with one event before its caller gets it; the model call carries the trace id', async () => {
    const api = await newApi();

    const { messageId, followed } = await api.say(instance, { text: 'plain [[SAY Hello there.]]' });
    const ended = await followed.ended;

    expect(ended).toMatchObject({ messageId, status: 'completed', content: 'Hello there.', errorReason: null });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content: 'Hello there.', error_code: null }]);
    const [row] = await turns.rows<{ trace_id: string }>('select trace_id from messages where id = ?', [messageId]);
    expect(new Set(callsWith('plain').map(({ traceparent }) => traceparent?.split('-')[1]))).toEqual(new Set([row!.trace_id]));
  });

  test('a turn that was claimed by its acceptance, and whose answer from the database was lost, is sent all the same', async () => {
    const api = await newApi();

    const { messageId } = await turns.accept(instance, {
      text: 'lost [[SAY Found.]]',
      sessionId: 'lost',
      owner: api.sender.owner(),
      claims: true,
    });

    expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content: 'Found.' });
    expect(gateway.model.answered('lost')).toBe(1);
  });

  test('the words leave while the model speaks, and together they are the reply', async () => {
    const api = await newApi();

    const { followed } = await api.say(instance, { text: 'stream [[WORDS 6]] [[HOLD stream 3]]' });
    const said: string[] = [];
    for await (const { text } of followed.deltas) {
      said.push(text);
      // The model is held after its third word until that has come here.
      if (said.join('') === 'w1 w2 w3') gateway.model.release('stream');
    }

    expect(said.join('')).toBe('w1 w2 w3 w4 w5 w6');
    expect((await followed.ended)?.content).toBe('w1 w2 w3 w4 w5 w6');
  });

  test('messages of one conversation run one after the other, in order, whichever process accepted them', async () => {
    const [one, other] = [await newApi(), await newApi()];

    const said = [];
    for (const [index, api] of [one, other, one, other].entries())
      said.push(await api.say(instance, { text: `order ${index} [[HISTORY]]`, sessionId: 'order' }));
    const ended = await Promise.all(said.map(({ followed }) => followed.ended));

    const lengths = ended.map((turn) => Number(turn?.content));
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    expect(new Set(lengths).size).toBe(4);
    const answered = callsWith('order').filter(({ finished }) => finished);
    expect(answered.map(({ lastUserText }) => /order (\d)/.exec(lastUserText)?.[1])).toEqual(['0', '1', '2', '3']);
  });

  test.each([
    ['NUL', '["before\\u0000after", " it"]', 'before\ufffdafter it'],
    ['half a character', '["before\\ud83d", "after"]', 'before\ufffdafter'],
    ['a character in two pieces', '["one \\ud83d", "\\ude00 two"]', 'one 😀 two'],
    ['a character that is never completed', '["one\\ud83d"]', 'one'],
  ])('%s in an answer: stream, reply and event are the same text', async (_what, pieces, content) => {
    const api = await newApi();

    const { messageId, followed } = await api.say(instance, { text: `odd [[PIECES ${pieces}]] [[DELAY 200]]` });

    expect((await collect(followed)).join('')).toBe(content);
    expect(await followed.ended).toMatchObject({ status: 'completed', content });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.message', content, error_code: null }]);
  });

  test.each([
    ['before other text', '["Here:\\n", "MEDIA:https://example.com/a.png\\n", "Done. ", "And more."]', 'Here:\nDone. And more.'],
    ['alone', '["MEDIA:https://example.com/a.png"]', ''],
  ])('an attachment %s is a line at the end of the reply, in the stream too', async (_where, pieces, text) => {
    const api = await newApi();

    const { followed } = await api.say(instance, { text: `picture [[PIECES ${pieces}]] [[DELAY 200]]` });

    const content = `${text}\nMEDIA:https://example.com/a.png`.trim();
    expect((await collect(followed)).join('')).toBe(content);
    expect(await followed.ended).toMatchObject({ status: 'completed', content });
  });

  test('an answer that reached the limit of tokens is a reply that says so', async () => {
    const api = await newApi();

    const { followed } = await api.say(instance, { text: 'too long [[SAY Half of it]] [[FINISH length]]' });

    expect(await followed.ended).toMatchObject({ status: 'completed', content: 'Half of it', finishReason: 'length' });
  });

  test('a reply that the database refuses again and again ends its turn as agent_failed', async () => {
    const api = await newApi();
    await turns.refuse('Cannot be stored.');

    const { messageId, followed } = await api.say(instance, { text: 'refused [[SAY Cannot be stored.]]' });

    expect(await followed.ended).toMatchObject({ status: 'failed', errorReason: 'agent_failed', content: '' });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'agent_failed' }]);
    expect(gateway.model.answered('refused')).toBe(1);
  });

  test('a model that fails ends its turn as model_error, and the next message is answered', async () => {
    const api = await newApi();

    const failing = await api.say(instance, { text: 'fails [[FAIL 400]]' });
    const next = await api.say(instance, { text: 'after it [[SAY Fine.]]' });

    expect(await failing.followed.ended).toMatchObject({ status: 'failed', errorReason: 'model_error', content: '' });
    expect(await turns.events(failing.messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'model_error' }]);
    expect(await next.followed.ended).toMatchObject({ status: 'completed', content: 'Fine.' });
  });

  test('a connection that breaks in the middle ends nothing and sends nothing twice', async () => {
    const api = await newApi();
    const { messageId, followed } = await api.say(instance, { text: 'broken line [[WORDS 6]] [[HOLD line 3]]' });
    const pieces = collect(followed);
    await modelCalled('broken line');

    api.connections.close(gateway.runtimeId);
    await api.connections.get(gateway.runtimeId, AbortSignal.timeout(PATIENCE_MS));
    gateway.model.release('line');

    expect((await followed.ended)?.content).toBe('w1 w2 w3 w4 w5 w6');
    expect((await pieces).join('')).toBe('w1 w2 w3 w4 w5 w6');
    expect(gateway.model.answered('broken line')).toBe(1);
    expect(await turns.events(messageId)).toHaveLength(1);
  });

  test('a reply that ends while the connection is broken is stored all the same', async () => {
    const api = await newApi();
    const { messageId, followed } = await api.say(instance, { text: 'unseen end [[SAY Unseen.]] [[HOLD unseen]]' });
    await modelCalled('unseen end');
    const blocked = setInterval(() => api.connections.close(gateway.runtimeId), 1);

    gateway.model.release('unseen');
    await eventually(() => expect(gateway.model.answered('unseen end')).toBe(1));
    await eventually(async () => {
      const client = await gateway.connect();
      expect(JSON.stringify(await client.request('chat.history', { sessionKey: await sessionKey(messageId) }))).toContain(
        '"status":"done"',
      );
    });
    clearInterval(blocked);

    expect(await followed.ended).toMatchObject({ status: 'completed', content: 'Unseen.' });
    expect(gateway.model.answered('unseen end')).toBe(1);
  });
});

describe('following', () => {
  test('a process that does not own the turn gets all of it at its end', async () => {
    const [owner, other] = [await newApi(), await newApi()];
    const { messageId, followed } = await owner.say(instance, { text: 'seen elsewhere [[WORDS 5]] [[HOLD elsewhere 2]]' });
    await modelCalled('seen elsewhere');

    const elsewhere = other.sender.follow(messageId);
    const pieces = collect(elsewhere);
    gateway.model.release('elsewhere');

    expect(await elsewhere.ended).toEqual(await followed.ended);
    expect((await pieces).join('')).toBe('w1 w2 w3 w4 w5');
    expect((await collect(other.sender.follow(messageId))).join('')).toBe('w1 w2 w3 w4 w5');
  });

  test('a client that goes away cancels nothing', async () => {
    const api = await newApi();
    const { messageId, followed } = await api.say(instance, { text: 'gone away [[SAY Still here.]] [[HOLD away]]' });
    await modelCalled('gone away');

    followed.close();
    gateway.model.release('away');

    expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content: 'Still here.' });
  });
});

describe('cancelling', () => {
  test('a running turn ends at once, its model call is cut, and the next message is answered', async () => {
    const api = await newApi();
    const { messageId, followed } = await api.say(instance, { text: 'to cancel [[WORDS 6]] [[HOLD never 2]]' });
    const next = await api.say(instance, { text: 'behind it [[SAY Next.]]' });
    // A message without any answer would be put before the next one by the gateway, with its markers.
    await heard(followed, 'w1 w2');

    await cancelTurn({ ...turns.deps, connections: api.connections }, instance, messageId);

    expect(await followed.ended).toMatchObject({ status: 'cancelled', errorReason: 'cancelled' });
    await eventually(() => expect(callsWith('to cancel').at(-1)?.aborted).toBe(true));
    expect(await next.followed.ended).toMatchObject({ status: 'completed', content: 'Next.' });
    expect(await turns.events(messageId)).toEqual([{ type: 'agent.error', content: null, error_code: 'cancelled' }]);
  });

  test('a waiting turn is never sent', async () => {
    const api = await newApi();
    const first = await api.say(instance, { text: 'in front [[SAY First.]] [[HOLD front]]' });
    const waiting = await api.say(instance, { text: 'never sent' });
    await modelCalled('in front');

    await cancelTurn({ ...turns.deps, connections: api.connections }, instance, waiting.messageId);
    gateway.model.release('front');

    expect(await waiting.followed.ended).toMatchObject({ status: 'cancelled' });
    expect(await first.followed.ended).toMatchObject({ status: 'completed' });
    const last = await api.say(instance, { text: 'last [[SAY Last.]]' });
    expect(await last.followed.ended).toMatchObject({ status: 'completed' });
    expect(callsWith('never sent')).toEqual([]);
  });
});

async function sessionKey(messageId: string): Promise<string> {
  const { conversationId } = await turns.turn(messageId);
  return `agent:${AGENT}:conv:${conversationId}`;
}
