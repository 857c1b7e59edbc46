import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { offeredModel } from '../support/offered-model.ts';
import { openTestOrm } from '../support/test-database.ts';
import type { TestOrm } from '../support/test-database.ts';
import {
  addAgent,
  ask,
  callsOf,
  contentOf,
  MODEL,
  openAiAt,
  openCallsOf,
  readerOf,
  readUntil,
  startRelay,
} from './relay-under-test.ts';
import type { RelayUnderTest, TestAgent } from './relay-under-test.ts';
import { refuseWith, startWireServer } from './wire-server.ts';
import type { WireServer } from './wire-server.ts';

/** Of a provider that stalls, before its fall-back is asked. */
const STALL_MS = 1_000;
/** A call has been sent by then, also on a busy machine. */
const SENT_BY_THEN_MS = 4_000;

let database: TestOrm;
let first: WireServer;
let second: WireServer;
let relay: RelayUnderTest;
let agent: TestAgent;

beforeAll(async () => {
  database = await openTestOrm();
  [first, second] = [await startWireServer(), await startWireServer()];
});

beforeEach(async () => {
  agent = await addAgent(database.orm);
  await database.orm.em.fork().execute('delete from model_troubles');
  // Each test has circuits of its own.
  relay = await startTwo({ budgetMs: 2_000 });
});

/** The relay before a provider and its fall-back. */
function startTwo(options: Parameters<typeof startRelay>[2]): Promise<RelayUnderTest> {
  return startRelay(database.url, undefined, {
    providers: { one: openAiAt(`${first.url}/v1`), two: openAiAt(`${second.url}/v1`) },
    models: {
      [MODEL]: offeredModel({ upstream: 'm-one', provider: 'one', fallbacks: [{ provider: 'two', upstream: 'm-two' }] }),
    },
    ...options,
  });
}

/** The same in place of the relay of this test. */
async function restart(options: Parameters<typeof startRelay>[2]): Promise<void> {
  await relay.close();
  relay = await startTwo(options);
}

afterEach(() => relay.close());

afterAll(async () => {
  await Promise.all([first.close(), second.close()]);
  await database.close();
});

const word = (text: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
const USAGE = 'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n';
const DONE = 'data: [DONE]\n\n';
const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });
const says =
  (text: string, usage = USAGE) =>
  (response: ServerResponse) =>
    void begin(response).end(word(text) + usage + DONE);
const error = (message: string, code?: string) => ({ error: { message, code } });

/** Who answered, or the status of a refusal, or that the answer broke off. */
async function endOf(response: Response): Promise<{ end: string | number; text: string }> {
  const text = await response.text().catch(() => null);
  if (text === null) return { end: 'broken', text: '' };
  return { end: response.status === 200 ? contentOf(text) : response.status, text };
}

interface Behaviour {
  play(response: ServerResponse): void;
  /** It says nothing for ever. */
  stalls?: true;
  /** The provider that answers; null: the call is refused. */
  from: 'one' | 'two' | null;
  /** How often the two are asked. */
  asked: [number, number];
  /** The status and words that the caller gets. */
  refused?: [number, string];
  broken?: true;
  finishReason?: string;
  counted?: object;
}

const TABLE: Record<string, Behaviour> = {
  answers: { play: says('one'), from: 'one', asked: [1, 0] },
  'limits calls without a time': { play: refuseWith(429, error('Slow down')), from: 'two', asked: [1, 1] },
  'limits calls for an hour': {
    play: refuseWith(429, error('Slow down'), { 'retry-after': '3600' }),
    from: 'two',
    asked: [1, 1],
  },
  'fails with 500': { play: refuseWith(500, error('boom')), from: 'two', asked: [1, 1] },
  'is overloaded with 529': { play: refuseWith(529, error('Overloaded')), from: 'two', asked: [1, 1] },
  'is overloaded in its first event': {
    play: (response) => void begin(response).end('data: {"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'),
    from: 'two',
    asked: [1, 1],
  },
  'closes the connection': { play: (response) => void response.destroy(), from: 'two', asked: [1, 1] },
  'begins a stream and says nothing': {
    play: (response) => begin(response).flushHeaders(),
    ...{ stalls: true, from: 'two', asked: [1, 1] },
  },
  'never answers': { play: () => {}, stalls: true, from: 'two', asked: [1, 1] },
  'sends only pings': {
    play(response) {
      begin(response);
      const timer = setInterval(() => response.write(': ping\n\n'), 50);
      response.once('close', () => clearInterval(timer));
    },
    stalls: true,
    from: 'two',
    asked: [1, 1],
  },
  'ends a stream without a word': { play: (response) => void begin(response).end(), from: 'two', asked: [1, 1] },
  'refuses our key': { play: refuseWith(401, error('Incorrect API key')), from: 'two', asked: [1, 1] },
  'does not know the model': { play: refuseWith(404, error('No such model')), from: 'two', asked: [1, 1] },
  'finds the context too long': {
    play: refuseWith(400, error('The maximum context length is 8192 tokens', 'context_length_exceeded')),
    ...{ from: null, asked: [1, 0], refused: [400, 'maximum context length'] },
  },
  'finds the context too long in the first event of its stream': {
    play: (response) =>
      void begin(response).end('data: {"error":{"code":400,"message":"The maximum context length is 8192"}}\n\n'),
    ...{ from: null, asked: [1, 0], refused: [400, 'maximum context length'] },
  },
  'finds an image invalid': {
    play: refuseWith(400, error('Could not process image')),
    ...{ from: null, asked: [1, 0], refused: [400, 'Could not process image'] },
  },
  'filters the prompt': {
    play: refuseWith(400, error('Filtered', 'content_filter')),
    ...{ from: null, asked: [1, 0], refused: [400, 'Filtered'], finishReason: 'content_filter' },
  },
  'cuts its stream after the first word': {
    play: (response) => void begin(response).write(word('half'), () => response.destroy()),
    ...{ from: 'one', asked: [1, 0], broken: true, counted: { output_tokens: 2 } },
  },
  'reports an invalid usage': {
    play: says('one', USAGE.replace('3', '-3')),
    from: 'one',
    asked: [1, 0],
    counted: { output_tokens: 1 },
  },
  'reports no usage': { play: says('one', ''), from: 'one', asked: [1, 0], counted: { output_tokens: 1 } },
};

describe('a provider with a fall-back that', () => {
  test.each(Object.entries(TABLE))('%s', async (_, { play, stalls, from, asked, refused, broken, finishReason, counted }) => {
    if (stalls) await restart({ firstByteMs: STALL_MS });
    const before = [first.received.length, second.received.length];
    first.play(play);
    second.play(says('two'));
    const wantedEnd = broken ? 'broken' : (refused?.[0] ?? from);
    const { end, text } = await endOf(await ask(relay, { token: agent.token }));
    expect([end, text]).toEqual([wantedEnd, expect.stringContaining(refused?.[1] ?? '')]);
    const now = [first.received.length, second.received.length];
    expect(now.map((count, index) => count - before[index]!)).toEqual(asked);
    for (const { body } of first.received.slice(before[0])) expect(body['model']).toBe('m-one');
    for (const { body } of second.received.slice(before[1])) expect(body['model']).toBe('m-two');
    // Exactly one call counts, of the provider that answered.
    const answered = from === null ? {} : { provider: from, upstream: `m-${from}` };
    const row = { finish_reason: finishReason ?? null, ...answered, ...counted };
    const wanted = from === null && !finishReason ? [] : [row];
    await eventually(async () => expect(await callsOf(database.orm, agent)).toMatchObject(wanted));
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });
});

describe('a provider that fails again and again', () => {
  const troubles = () => database.orm.em.fork().execute('select provider, upstream, reason from model_troubles');

  test('is not asked first any more, says so in metrics and to the API, and is asked last when its fall-back fails too', async () => {
    await restart({ monotonicMs: () => 0 });
    first.play(refuseWith(500, error('boom')));
    second.play(says('two'));
    const count = first.received.length;
    for (let call = 0; call < 6; call += 1)
      expect(contentOf(await (await ask(relay, { token: agent.token })).text())).toBe('two');
    expect(first.received.length - count).toBe(3);
    await eventually(async () => expect(await troubles()).toEqual([{ provider: 'one', upstream: 'm-one', reason: 'failing' }]));
    expect(await relay.metrics()).toMatch(/circuit_open\{provider="one",upstream="m-one"[^}]*\} 1/);
    expect(await relay.metrics()).toMatch(/tries_total\{provider="one",upstream="m-one",outcome="failed"[^}]*\} 3/);

    second.play(refuseWith(503, error('boom')));
    first.play(says('one'));
    expect(contentOf(await (await ask(relay, { token: agent.token })).text())).toBe('one');
    await eventually(async () => expect(await troubles()).toEqual([]));
    expect(await relay.metrics()).toMatch(/circuit_open\{provider="one",upstream="m-one"[^}]*\} 0/);
  });

  test('ends the call with 400 once the budget is used up, whichever provider was asked, and nothing is kept', async () => {
    first.play(refuseWith(500, error('boom')));
    second.play(refuseWith(429, error('Slow down')));
    const response = await ask(relay, { token: agent.token });
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringMatching(/could not answer now; it was asked \d+ times/),
    ]);
    expect(await callsOf(database.orm, agent)).toEqual([]);
    expect(await openCallsOf(database.orm, agent)).toEqual([]);
  });
});

test('a provider that is not there costs no wait: its fall-back answers', async () => {
  const lost = await startRelay(database.url, undefined, {
    providers: { one: openAiAt('http://127.0.0.1:9/v1'), two: openAiAt(`${second.url}/v1`) },
    models: { [MODEL]: offeredModel({ upstream: 'm', provider: 'one', fallbacks: [{ provider: 'two', upstream: 'm' }] }) },
  });
  second.play(says('two'));
  expect(contentOf(await (await ask(lost, { token: agent.token })).text())).toBe('two');
  await lost.close();
});

test('under many calls, while providers fail, stall and cut at random, every answer is whole and from one provider, or is cut as its provider cut it', async () => {
  await restart({ budgetMs: PATIENCE_MS });
  let turn = 0;
  const unsteady =
    (name: string) =>
    (response: ServerResponse, { body }: { body: Record<string, unknown> }) => {
      const said = /id-(\d+)/.exec(JSON.stringify(body['messages']))?.[1];
      turn += 1;
      if (turn % 5 === 0) return void response.writeHead(529, { 'content-type': 'application/json' }).end('{}');
      if (turn % 7 === 0) return void response.destroy();
      begin(response).write(word(`${name} ${said} `));
      if (turn % 11 === 0) return void response.write(word('half'), () => response.destroy());
      setTimeout(() => response.end(word(`${said} end`) + USAGE + DONE), 20);
    };
  first.play(unsteady('one'));
  second.play(unsteady('two'));
  const agents = await Promise.all(Array.from({ length: 8 }, () => addAgent(database.orm)));
  const ends = await Promise.all(
    agents.flatMap((own, index) =>
      Array.from({ length: 8 }, async (_, call) => {
        const id = index * 100 + call;
        const response = await ask(relay, { token: own.token, text: `id-${id}` });
        if (response.status !== 200) return 'refused';
        const text = await response.text().catch(() => null);
        if (text === null) return 'cut';
        expect(contentOf(text)).toMatch(new RegExp(`^(one|two) ${id} ${id} end$`));
        return 'whole';
      }),
    ),
  );
  expect(ends.filter((end) => end === 'refused')).toEqual([]);
  // A call that was cut is counted after its caller has heard of it.
  await eventually(async () => {
    const rows = (await Promise.all(agents.map((own) => callsOf(database.orm, own)))).flat();
    expect(rows).toHaveLength(ends.length);
  });
});

test.each([
  ['refused', 422, undefined],
  ['filtered', 400, 'content_filter'],
])('a call that was cut at one provider and is %s by the next one counts as promised, once', async (_, status, code) => {
  await restart({ firstByteMs: SENT_BY_THEN_MS });
  first.play(() => {});
  second.play(refuseWith(status, error('Not like this', code)));
  const response = await ask(relay, { token: agent.token, fields: { max_tokens: 77 } });
  expect([response.status, await response.text()]).toEqual([status, expect.stringContaining('Not like this')]);
  const promised = { output_tokens: 77, finish_reason: code ?? null, provider: null };
  await eventually(async () => expect(await callsOf(database.orm, agent)).toMatchObject([promised]));
  expect(await openCallsOf(database.orm, agent)).toEqual([]);
});

test('a provider that is slow takes no time from its fall-back, which is tried again as long as ever', async () => {
  await restart({ firstByteMs: 4_000, budgetMs: 3_000 });
  first.play(() => {});
  let refusals = 0;
  second.play((response) => {
    refusals += 1;
    if (refusals === 1) return refuseWith(503, error('Busy'))(response);
    return says('two')(response);
  });
  expect(contentOf(await (await ask(relay, { token: agent.token })).text())).toBe('two');
});

test('a fall-back streams word by word, as the provider does', async () => {
  first.play(refuseWith(500, error('boom')));
  let finish = (): void => {};
  second.play((response) => {
    begin(response).write(word('early'));
    finish = () => void response.end(USAGE + DONE);
  });
  const reader = readerOf(await ask(relay, { token: agent.token }));
  expect(await readUntil(reader, 'early')).not.toContain('[DONE]');
  finish();
  await readUntil(reader, '[DONE]');
});
